// Addresses.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as urls from "../../../src/server/web/pages/urls.mjs";

const page = (host, protocol = "http:") => ({ protocol, host, hostname: host.replace(/:\d+$/, "") });
const PORTS = { rtmp: 1935, rtmps: null, rtsp: 8554, rtsps: null, http: 8080, https: null };
const list = (...how) => Object.fromEntries(urls.addresses(...how).map(({ name, url }) => [name, url]));

test("a path is encoded component by component, and as one for the API", () => {
  assert.equal(urls.encodePath("live/a b/ü?#"), "live/a%20b/%C3%BC%3F%23");
  assert.equal(urls.encodePath("vod/mp4:film.mp4"), "vod/mp4:film.mp4");
  assert.equal(urls.encodePath("live/100%"), "live/100%25");
  assert.equal(urls.pathParameter("live/cam"), "live%2Fcam");
});

test("a page knows from its address what it plays, by what, and what to pass on", () => {
  const target = (pathname, search = "") => urls.target({ pathname, search });
  assert.deepEqual(target("/live/cam"), { path: "live/cam", isFile: false, via: "auto", token: "" });
  assert.deepEqual(target("/live//a%20b/", "?via=ws&token=a%2Fb"), { path: "live/a b", isFile: false, via: "ws", token: "token=a%2Fb" });
  assert.deepEqual(target("/vod/clip.MP4", "?watch"), { path: "vod/clip.MP4", isFile: true, via: "auto", token: "" });
  // Without the word it is the file itself that is served; a stream may be called like one.
  assert.equal(target("/live/cam.mp4").isFile, false);
  assert.equal(target("/live/cam", "?watch").isFile, false);
  assert.equal(target("/live/100%").path, "live/100%");
});

test("what a page says of a path leads back to the path", () => {
  for (const path of ["live/cam", "live/a b/ü?#", "live/100%", "live/x:y@z", "live/%2F"]) {
    assert.equal(urls.target({ pathname: "/" + urls.encodePath(path), search: "" }).path, path);
  }
});

test("addresses use the host of the page and leave usual ports out", () => {
  const of = list("live/cam", page("10.0.0.1:8080"), PORTS, true);
  assert.deepEqual(of, {
    Page: "http://10.0.0.1:8080/live/cam",
    RTMP: "rtmp://10.0.0.1/live/cam",
    RTSP: "rtsp://10.0.0.1:8554/live/cam",
    HLS: "http://10.0.0.1:8080/live/cam/index.m3u8",
    "HTTP-FLV": "http://10.0.0.1:8080/live/cam.flv",
    "WebSocket-FLV": "ws://10.0.0.1:8080/live/cam.flv",
  });
});

test("what is not offered has no address", () => {
  const of = list("live/cam", page("[::1]:8080", "https:"), { rtmp: null, rtmps: 1936, rtsp: 554 }, false);
  assert.equal(of.HLS, undefined);
  assert.equal(of.RTMP, undefined);
  assert.equal(of.RTMPS, "rtmps://[::1]:1936/live/cam");
  assert.equal(of.RTSP, "rtsp://[::1]/live/cam");
  assert.equal(of["WebSocket-FLV"], "wss://[::1]:8080/live/cam.flv");
  assert.ok(list("live/cam", page("h"), undefined, false).Page);
});

test("publishing is told as OBS asks for it", () => {
  const how = urls.publishing(page("board.lan:8080"), { rtmp: 1936 });
  const rtsp = "rtsp://board.lan/live/cam";
  assert.deepEqual(how, { server: "rtmp://board.lan:1936/live", key: "cam", url: "rtmp://board.lan:1936/live/cam", rtsp });
  assert.equal(urls.publishing(page("board.lan:8080"), { rtsp: 8554 }).rtsp, "rtsp://board.lan:8554/live/cam");
  assert.equal(urls.publishing(page("board.lan:8080"), undefined).server, "rtmp://board.lan/live");
});

test("a player gets a list whose name is that of the stream, and the token", () => {
  assert.equal(urls.playerList("live/b\u00e9", "token=1"), "/live/b%C3%A9.m3u?token=1");
  assert.equal(urls.playerList("vod/clip.mp4"), "/vod/clip.mp4.m3u");
});

test("parameters are added only where there are some", () => {
  assert.equal(urls.withQuery("/a.flv", "", undefined), "/a.flv");
  assert.equal(urls.withQuery("/a.flv", "token=1", "", "audio=0"), "/a.flv?token=1&audio=0");
});

test("names of this machine alone are no names for phones", () => {
  for (const here of ["localhost", "127.0.0.1", "[::1]", "x.localhost"]) assert.ok(urls.isOnlyHere(here), here);
  for (const there of ["10.0.0.1", "board.lan", "[fe80::1]", "localhost.example"]) assert.ok(!urls.isOnlyHere(there), there);
});
