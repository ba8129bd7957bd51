// Without a mouse: Tab reaches everything that can be used, and one sees where one is.

import assert from "node:assert/strict";
import { Browser, ask, say } from "./support.mjs";

const browser = await Browser.open();
ask("publish cam");

const watch = await browser.page("/live/cam");
await browser.picture(watch, "watch page");
await reaches(watch, ["a weir: all streams", "video", "button Tap for sound", "select", "summary"]);
await watch.locator("summary").focus();
await watch.keyboard.press("Enter");
await reaches(watch, ["button Copy Page", "button Copy RTMP", "button Copy HTTP-FLV"]);
await watch.locator("#choice").focus();
await watch.keyboard.press("ArrowDown");
await browser.picture(watch, "another transport by keyboard", { test: ({ via }) => via === "ws" });

const console = await browser.page("/");
await console.getByRole("link", { name: "live/cam" }).waitFor();
await reaches(console, ["a weir", "a Streams", "a Connections", "a Files", "input Filter streams by name", "select", "a live/cam", "button Details of live/cam"]);
await console.getByRole("button", { name: "Details of live/cam" }).focus();
await console.keyboard.press("Enter");
await reaches(console, ["a Watch", "button Connections", "button Kick publisher", "button Copy RTMP", "button Copy HLS"]);
await browser.close();

/** Goes through a page with Tab; all of `wanted` must come, in this order, each with a visible outline. */
async function reaches(page, wanted) {
  const found = [];
  for (let i = 0; i < 60; i += 1) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(() => {
      const node = document.activeElement;
      const style = getComputedStyle(node);
      const box = node.getBoundingClientRect();
      const name = node.getAttribute("aria-label") ?? (node.matches("a, button") ? node.innerText.replace(/\s+/g, " ").trim() : "");
      const isSeen = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1;
      const isOnScreen = box.bottom > 0 && box.top < innerHeight && box.width > 0;
      return { name: (node.localName + " " + name).trim(), isSeen, isOnScreen };
    });
    if (at.name === "body" || (found.length > 0 && at.name === found[0].name && found.length > 2)) break;
    // The controls of a video are stops inside it.
    if (at.name !== found.at(-1)?.name) found.push(at);
  }
  const names = found.map(({ name }) => name);
  say("Tab:", names.join(", "));
  let from = 0;
  for (const name of wanted) {
    const index = names.findIndex((one, index) => index >= from && one.startsWith(name));
    assert.ok(index >= 0, "Tab does not reach " + name + " in its turn: " + names.join(", "));
    from = index;
  }
  for (const { name, isSeen, isOnScreen } of found) assert.ok(isSeen && isOnScreen, name + " has the focus, and nobody sees it");
}
