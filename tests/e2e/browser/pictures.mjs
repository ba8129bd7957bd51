// Pictures of the pages, for people to look at: target/screenshots. Judged here: nothing is wider than the screen.

import assert from "node:assert/strict";
import { Browser, DESKTOP, PHONE, ask, pause, say, screenshot, until } from "./support.mjs";

ask("publish cam");
for (const [name, screen] of [["desktop", DESKTOP], ["phone", PHONE]]) {
  const browser = await Browser.open(screen);
  const keep = async (page, what, { isWhole = false } = {}) => {
    const [wide, room] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(wide <= room, `${name}-${what} is ${wide} wide, on ${room}`);
    await screenshot(page, `${name}-${what}`, isWhole);
  };

  const waiting = await browser.page("/live/later");
  await waiting.getByText("OFFLINE").waitFor();
  await keep(waiting, "watch-waiting");
  await waiting.close();

  const watch = await browser.page("/live/cam");
  await browser.picture(watch, "watch page");
  // Its bit rate is told after some seconds.
  await pause(4000);
  await keep(watch, "watch-playing");
  await watch.locator("#share summary").click();
  await keep(watch, "watch-addresses", { isWhole: true });
  await watch.locator("#share summary").click();

  const page = await browser.page("/");
  await page.getByRole("link", { name: "live/cam" }).waitFor();
  // A graph needs some seconds of stream.
  await until("the graph", async () => (await page.locator("tbody .graph .line").first().getAttribute("d"))?.split("L").length > 8);
  await keep(page, "console");
  await page.getByRole("button", { name: "Details of live/cam" }).click();
  await page.getByRole("button", { name: "Record", exact: true }).click();
  await until("a picture in the console", () => page.locator(".picture video").evaluate((video) => video.readyState >= 2));
  await pause(2500);
  await keep(page, "console-details", { isWhole: true });
  await page.emulateMedia({ colorScheme: "dark" });
  await keep(page, "console-dark", { isWhole: true });
  await page.emulateMedia({ colorScheme: null });
  await page.getByRole("button", { name: "Stop recording" }).click();
  await page.getByRole("link", { name: /^Connections/ }).click();
  await page.locator("#connections-table tbody tr").first().waitFor();
  await pause(2500);
  await keep(page, "console-connections", { isWhole: true });
  await page.getByRole("link", { name: "Files" }).click();
  await page.locator("#recordings-table .name").first().waitFor();
  await keep(page, "console-files");
  await browser.close();
  say(name + ": kept");
}
