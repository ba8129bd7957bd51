// More pages in one browser than it opens connections to a host, which are six: all play, and another page still loads.

import { Browser, ask, say, seconds } from "./support.mjs";

const browser = await Browser.open();
ask("publish cam");
const pages = [];
for (let i = 0; i < 7; i += 1) {
  const page = await browser.page("/live/cam");
  const sample = await browser.picture(page, "page " + (i + 1));
  pages.push(sample.via + " " + seconds(sample.at - browser.samples(page)[0].at));
}
say("seven pages, each with a picture after", pages.join(", "));
const page = await browser.page("/");
await page.getByRole("heading", { name: "Streams" }).waitFor();
await browser.close();
