// What a new user sees first: the console lists the demo, and a click later it plays.
//
// Five times, each with nothing cached and by the page's own clock, which begins with the wish to see it; the median is what
// counts: less than a second each.

import assert from "node:assert/strict";
import { Browser, quantile, say, seconds } from "./support.mjs";

const listed = [];
const shown = [];
for (let i = 0; i < 5; i += 1) {
  const browser = await Browser.open();
  const page = await browser.page("/");
  const link = page.getByRole("link", { name: "live/demo" });
  await link.waitFor();
  listed.push(await page.evaluate(() => performance.now()));
  await link.click();
  const sample = await browser.playing(page);
  shown.push(sample.since);
  await browser.close();
}
say("listed", listed.map(seconds).join(", ") + " after the console was opened; shown", shown.map(seconds).join(", "), "after the click");
assert.ok(quantile(listed, 0.5) < 1000, "the console takes longer than a second");
assert.ok(quantile(shown, 0.5) < 1000, "the picture takes longer than a second");
