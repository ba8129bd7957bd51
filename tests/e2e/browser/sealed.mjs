// Through TLS, with a certificate that nobody vouches for and the viewer accepts: all transports.

import assert from "node:assert/strict";
import { Browser, ask, say, seconds } from "./support.mjs";

const browser = await Browser.open();
ask("publish cam");
for (const via of ["auto", "flv", "ws", "hls"]) {
  const page = await browser.page("/live/cam?via=" + via);
  const sample = await browser.picture(page, via + " through TLS", { age: 3000 });
  const [protocol, addresses] = await page.evaluate(() => [location.protocol, document.getElementById("addresses").textContent]);
  assert.equal(protocol, "https:");
  for (const scheme of ["https://", "wss://", "rtmps://"]) assert.ok(addresses.includes(scheme), scheme + " is not offered");
  say(via + ": by", sample.via + ", a picture after", seconds(sample.since) + ",", seconds(sample.picture.age), "old");
  await page.close();
}
await browser.close();
