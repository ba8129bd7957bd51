// Addresses: of a stream in every protocol, of the API, and what the address of the page says.
//
// Pure. A stream's path is text such as "live/cam"; in addresses each of its components is percent-encoded.
// The API takes a path as one component ("live%2Fcam"). IPv6 hosts come with brackets, as location.hostname has them.

/** Endings of files that the page plays; what ends otherwise is a live stream. */
const FILE_ENDINGS = ["mp4", "m4v", "m4a", "mov", "mp3", "aac", "flv", "webm"];

const DEFAULT_PORTS = { rtmp: 1935, rtmps: 443, rtsp: 554, rtsps: 322, http: 80, https: 443, ws: 80, wss: 443 };

const HINTS = { rtmp: "VLC, ffplay, OBS", rtmps: "VLC, ffplay, OBS", rtsp: "VLC, ffplay, recorders", rtsps: "ffplay, GStreamer" };

/** A path for the path part of a URL. ":" and "@" may stand there and are easier to read as they are. */
export function encodePath(path) {
  return path
    .split("/")
    .map((part) => encodeURIComponent(part).replace(/%3A/g, ":").replace(/%40/g, "@"))
    .join("/");
}

/** As one component: for the API. */
export const pathParameter = (path) => encodeURIComponent(path);

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/**
 * What a watch page is to play.
 * @param {{pathname: string, search: string}} location
 * @returns {{path: string, isFile: boolean, via: string, token: string}} token: what else the query holds, to be passed on
 */
export function target(location) {
  const path = location.pathname.split("/").filter(Boolean).map(decode).join("/");
  const query = new URLSearchParams(location.search);
  const via = query.get("via") ?? "auto";
  const isFile = query.has("watch") && FILE_ENDINGS.includes(path.split(".").pop().toLowerCase());
  query.delete("via");
  query.delete("watch");
  return { path, isFile, via, token: query.toString() };
}

/** A path with query parameters; each is "key=value" text or empty. */
export function withQuery(address, ...parameters) {
  const query = parameters.filter(Boolean).join("&");
  return query ? address + "?" + query : address;
}

function absolute(scheme, hostname, port, path) {
  const shown = port === DEFAULT_PORTS[scheme] ? "" : ":" + port;
  return scheme + "://" + hostname + shown + "/" + encodePath(path);
}

/**
 * Every address of a live stream, for copying.
 * @param {string} path
 * @param {{protocol: string, host: string, hostname: string}} location of the page
 * @param {object} ports `ports` of the API: protocol -> port, null where it is not spoken
 * @param {boolean} hls whether there is HLS
 * @returns {{name: string, url: string, hint: string}[]}
 */
export function addresses(path, location, ports, hls) {
  const web = location.protocol + "//" + location.host + "/" + encodePath(path);
  const list = [{ name: "Page", url: web, hint: "any browser" }];
  for (const scheme of ["rtmp", "rtmps", "rtsp", "rtsps"]) {
    if (!ports?.[scheme]) continue;
    const url = absolute(scheme, location.hostname, ports[scheme], path);
    list.push({ name: scheme.toUpperCase(), url, hint: HINTS[scheme] });
  }
  if (hls) list.push({ name: "HLS", url: web + "/index.m3u8", hint: "phones, TVs, VLC" });
  list.push({ name: "HTTP-FLV", url: web + ".flv", hint: "VLC, ffplay, mpegts.js" });
  list.push({ name: "WebSocket-FLV", url: web.replace(/^http/, "ws") + ".flv", hint: "mpegts.js" });
  return list;
}

/** The list that opens a stream or file in a player that is a program of its own. */
export const playerList = (path, token) => withQuery("/" + encodePath(path) + ".m3u", token);

/** How to publish to this host: server and key as OBS asks for them, and whole; the same by RTSP. */
export function publishing(location, ports, path = "live/cam") {
  const cut = path.lastIndexOf("/");
  const server = absolute("rtmp", location.hostname, ports?.rtmp ?? DEFAULT_PORTS.rtmp, path.slice(0, cut));
  const key = path.slice(cut + 1);
  const rtsp = absolute("rtsp", location.hostname, ports?.rtsp ?? DEFAULT_PORTS.rtsp, path);
  return { server, key, url: server + "/" + encodePath(key), rtsp };
}

/** Whether other machines can reach this host by that name. */
export function isOnlyHere(hostname) {
  return hostname === "localhost" || hostname.endsWith(".localhost") || hostname === "[::1]" || /^127\./.test(hostname);
}
