// A publisher goes and comes back, without a word and properly: pages that were playing show it again by themselves,
// fresh, by each transport.

import { Browser, ask, say, seconds, until } from "./support.mjs";

const browser = await Browser.open();
ask("publish cam");
const pages = new Map();
for (const via of ["flv", "ws", "hls"]) pages.set(via, await browser.page("/live/cam?via=" + via));
for (const how of ["kill", "end"]) {
  for (const [via, page] of pages) await browser.picture(page, via, { age: 4000 });
  // Far enough for the numbers of the next publisher to be lower.
  await until("150 frames", () => [...pages.values()].every((page) => browser.last(page).picture?.frame > 150));
  ask(how + " cam");
  // Every page says that nobody publishes any more.
  for (const [via, page] of pages) {
    const told = () => via + ": no word after " + how + "; last: " + JSON.stringify(browser.last(page));
    await until(told, () => /^(The stream has paused|Nobody is publishing)/.test(browser.last(page).headline));
  }
  const words = [...pages].map(([via, page]) => via + ": " + JSON.stringify(browser.last(page).headline));
  ask("publish cam");
  const begun = Date.now();
  const times = [];
  for (const [via, page] of pages) {
    const sample = await browser.picture(page, via + " after " + how, { age: 3000, test: ({ picture }) => picture.frame < 3000 && picture.age < Date.now() - begun });
    times.push(via + " " + seconds(sample.at - begun));
  }
  say(how + ": said", words.join(", ") + "; the new picture after", times.join(", "));
}
await browser.close();
