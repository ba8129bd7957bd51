// Which way the stream comes: FLV over WebSocket, HTTP-FLV, HLS; which one next if one fails, and when to try again.
//
// WebSockets first: of other connections a browser has six to a host, all tabs together, and with six pages that play by
// HTTP-FLV it would not even load a seventh. HTTP-FLV for proxies that let no WebSocket through.
// Pure. "auto" goes through ORDER; a way that was asked for by ?via= or in the page is the only one tried.

export const ORDER = ["ws", "flv", "hls"];

export const NAMES = { auto: "Automatic", flv: "HTTP-FLV", ws: "WebSocket-FLV", hls: "HLS" };

/** Failures in a row, without a picture in between, after which "auto" tries the next way. */
export const TRIES = 2;

/** The choice that a text names: "auto" if none. */
export const choiceOf = (text) => (ORDER.includes(text) ? text : "auto");

/**
 * What is to be tried.
 * @param {string} choice "auto" or one of ORDER
 * @param {{flv: boolean, hls: boolean}} can what browser and stream are capable of
 */
export function candidates(choice, can) {
  const works = (way) => (way === "hls" ? can.hls : can.flv);
  return (choice === "auto" ? ORDER : [choice]).filter(works);
}

/** The way after `failures` in a row; begins again behind the last. */
export function after(failures, ways) {
  return ways.length === 0 ? null : ways[Math.floor(failures / TRIES) % ways.length];
}

/**
 * Milliseconds to wait before the next attempt: 0.5 s, doubled up to 8 s, give or take a quarter so that many viewers
 * do not return at the same moment. `chance` is in [0, 1).
 */
export function wait(failures, chance) {
  const base = Math.min(8000, 500 * 2 ** Math.min(10, Math.max(0, failures - 1)));
  return Math.round(base * (0.75 + chance / 2));
}

/** Audio that browsers get from FLV (mpegts.js ends with an error at any other): else the stream is asked for without. */
const FLV_AUDIO = ["AAC", "MP3", "Opus", "FLAC"];
const FLV_VIDEO = ["H.264", "H.265", "AV1"];
/** Pictures that HLS brings: of others it has the sound alone. */
const HLS_VIDEO = ["H.264", "H.265", "AV1", "VP9"];

/**
 * Whether this browser can play a stream that is described by a Watch of the API, and by which ways.
 * @param {{video: object|null, audio: object|null, hls: boolean}} stream
 * @param {{mse: boolean, nativeHls: boolean, canDecode: (mime: string) => boolean}} browser
 * @returns {{flv: boolean, hls: boolean, withoutAudio: boolean, lacks: string|null}} lacks: the codec in the way
 */
export function capabilities(stream, browser) {
  const decodes = (track, kind) => !track?.rfc6381 || browser.canDecode(`${kind}/mp4; codecs="${track.rfc6381}"`);
  const seesIt = decodes(stream.video, "video");
  const hearsIt = decodes(stream.audio, "audio");
  const flvHasVideo = !stream.video || FLV_VIDEO.includes(stream.video.codec);
  const flvHasAudio = !stream.audio || (FLV_AUDIO.includes(stream.audio.codec) && hearsIt);
  const somethingIsLeft = stream.video !== null || flvHasAudio;
  const flv = browser.mse && seesIt && flvHasVideo && somethingIsLeft;
  const hlsHasVideo = !stream.video || HLS_VIDEO.includes(stream.video.codec);
  const hls = stream.hls && hlsHasVideo && (browser.nativeHls || (browser.mse && seesIt && (hearsIt || stream.video !== null)));
  const lacks = flv || hls ? null : !seesIt || !flvHasVideo ? stream.video.codec : (stream.audio?.codec ?? null);
  return { flv, hls, withoutAudio: stream.audio !== null && !flvHasAudio, lacks };
}
