// Numbers as people read them.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as format from "../../../src/server/web/pages/format.mjs";

test("sizes and rates have three digits and go up a unit in time", () => {
  const table = [[0, "0 B"], [999, "999 B"], [1000, "1.00 kB"], [12_340, "12.3 kB"], [999_400, "999 kB"], [999_600, "1.00 MB"], [1.2e9, "1.20 GB"], [5e15, "5000 TB"]];
  for (const [value, text] of table) assert.equal(format.bytes(value), text);
  assert.equal(format.bitrate(2_200_000), "2.20 Mbit/s");
  assert.equal(format.memory(5 * 1024 * 1024), "5.00 MiB");
  assert.equal(format.memory(1023), "1023 B");
});

test("what is not known is a dash", () => {
  for (const value of [null, undefined, NaN, Infinity, "7", -1]) {
    for (const what of [format.bytes, format.bitrate, format.memory, format.duration]) assert.equal(what(value), format.DASH);
  }
  for (const what of [format.delay, format.count, format.percent, format.dateTime, format.frameRate, format.video, format.audio]) {
    assert.equal(what(null), format.DASH);
  }
});

test("times are shown in their two largest units", () => {
  const table = [[0, "0 s"], [59_999, "59 s"], [60_000, "1 min 00 s"], [3_725_000, "1 h 02 min"], [93_784_000, "1 d 2 h"]];
  for (const [value, text] of table) assert.equal(format.duration(value), text);
  for (const [value, text] of [[-5, "0 ms"], [340, "340 ms"], [999.6, "1.0 s"], [1249, "1.2 s"], [15_300, "15 s"]]) assert.equal(format.delay(value), text);
});

test("thousands are set apart", () => {
  assert.equal(format.count(1234567), "1\u202f234\u202f567");
  assert.equal(format.count(999), "999");
});

test("tracks are described by what is known of them", () => {
  assert.equal(format.video({ codec: "H.264", width: 1280, height: 720, frame_rate: 29.97002997 }), "H.264 1280×720 29.97\u00a0fps");
  assert.equal(format.video({ codec: "H.265", width: null, height: null, frame_rate: null }), "H.265");
  assert.equal(format.audio({ codec: "AAC", sample_rate_hz: 44100, channels: 2 }), "AAC 44.1 kHz stereo");
  assert.equal(format.audio({ codec: "AAC", sample_rate_hz: 48000, channels: 6 }), "AAC 48 kHz 6 channels");
});
