// Which way a stream comes, and when it is tried again.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as transport from "../../../src/server/web/pages/transport.mjs";

const H264 = { codec: "H.264", rfc6381: "avc1.64001f" };
const H265 = { codec: "H.265", rfc6381: "hvc1.1.6.L93.90" };
const AAC = { codec: "AAC", rfc6381: "mp4a.40.2" };
const ALAW = { codec: "G.711 A-law", rfc6381: null };
const chrome = { mse: true, nativeHls: false, canDecode: (mime) => /avc1|mp4a/.test(mime) };
const iphone = { mse: false, nativeHls: true, canDecode: () => true };
const of = (stream, browser) => transport.capabilities({ video: null, audio: null, hls: true, ...stream }, browser);

test("an unknown choice is the automatic one", () => {
  assert.deepEqual(["flv", "ws", "hls", "auto", "", "rtmp"].map(transport.choiceOf), ["flv", "ws", "hls", "auto", "auto", "auto"]);
});

test("a browser plays what it decodes, by the ways it has", () => {
  assert.deepEqual(of({ video: H264, audio: AAC }, chrome), { flv: true, hls: true, withoutAudio: false, lacks: null });
  assert.deepEqual(of({ video: H264, audio: AAC, hls: false }, chrome), { flv: true, hls: false, withoutAudio: false, lacks: null });
  assert.deepEqual(of({ video: H264, audio: AAC }, iphone), { flv: false, hls: true, withoutAudio: false, lacks: null });
  assert.deepEqual(of({ video: H265, audio: AAC }, chrome), { flv: false, hls: false, withoutAudio: false, lacks: "H.265" });
  // Its sound is there as HLS, and is not what somebody came for.
  const vp6 = { video: { codec: "VP6", rfc6381: null }, audio: AAC };
  for (const browser of [chrome, iphone]) assert.deepEqual(of(vp6, browser), { flv: false, hls: false, withoutAudio: false, lacks: "VP6" });
});

test("sound that FLV players end with an error at is left out, not the picture", () => {
  const can = of({ video: H264, audio: ALAW, hls: false }, chrome);
  assert.deepEqual(can, { flv: true, hls: false, withoutAudio: true, lacks: null });
  assert.deepEqual(of({ audio: ALAW, hls: false }, chrome), { flv: false, hls: false, withoutAudio: true, lacks: "G.711 A-law" });
});

test("automatic goes on to the next way after some failures and begins again behind the last", () => {
  const ways = transport.candidates("auto", { flv: true, hls: true });
  assert.deepEqual(ways, ["ws", "flv", "hls"]);
  const tried = Array.from({ length: 7 }, (_, failures) => transport.after(failures, ways));
  assert.deepEqual(tried, ["ws", "ws", "flv", "flv", "hls", "hls", "ws"]);
});

test("a choice is the only way, and none if it is not possible", () => {
  assert.deepEqual(transport.candidates("ws", { flv: true, hls: true }), ["ws"]);
  assert.deepEqual(transport.candidates("ws", { flv: false, hls: true }), []);
  assert.equal(transport.after(0, []), null);
});

test("waits double up to eight seconds and differ between viewers", () => {
  assert.deepEqual([1, 2, 3, 4, 5, 6, 99].map((failures) => transport.wait(failures, 0.5)), [500, 1000, 2000, 4000, 8000, 8000, 8000]);
  assert.equal(transport.wait(1, 0), 375);
  assert.ok(transport.wait(99, 0.999) <= 10_000);
});
