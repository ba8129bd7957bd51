// Numbers as people read them: bytes, bit rates, times, codecs.
//
// Pure: no DOM, no clock. What is not known (null, undefined, not a number) is shown as DASH.
// Units come by 1000, as network equipment and encoders count; memory by 1024, as the system counts.

export const DASH = "–";

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/** Three digits that count: 1.23, 12.3, 123. */
function digits(value) {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function scaled(value, base, units) {
  if (!isNumber(value) || value < 0) return DASH;
  let unit = 0;
  // What would be shown as "1000 kB" goes one unit up.
  while (unit + 1 < units.length && Number(digits(value)) >= base) {
    value /= base;
    unit += 1;
  }
  return (unit === 0 ? Math.round(value) : digits(value)) + " " + units[unit];
}

/** Bytes of files and traffic: "1.20 MB". */
export const bytes = (value) => scaled(value, 1000, ["B", "kB", "MB", "GB", "TB"]);

/** Bytes of memory: "4.75 MiB". */
export const memory = (value) => scaled(value, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]);

/** Bits per second: "2.20 Mbit/s". */
export const bitrate = (value) => scaled(value, 1000, ["bit/s", "kbit/s", "Mbit/s", "Gbit/s"]);

/** 1234 -> "1 234", with narrow spaces that do not break. */
export function count(value) {
  if (!isNumber(value)) return DASH;
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

export const percent = (value) => (isNumber(value) ? (value >= 10 ? value.toFixed(0) : value.toFixed(1)) + " %" : DASH);

/** How long something has lasted, in the two largest units: "2 d 3 h", "4 min 05 s", "7 s". */
export function duration(ms) {
  if (!isNumber(ms) || ms < 0) return DASH;
  const s = Math.floor(ms / 1000);
  const [d, h, min] = [Math.floor(s / 86400), Math.floor(s / 3600) % 24, Math.floor(s / 60) % 60];
  const two = (n) => String(n).padStart(2, "0");
  if (d > 0) return d + " d " + h + " h";
  if (h > 0) return h + " h " + two(min) + " min";
  if (min > 0) return min + " min " + two(s % 60) + " s";
  return s + " s";
}

/** A short time: "340 ms", "1.2 s", "15 s". */
export function delay(ms) {
  if (!isNumber(ms)) return DASH;
  if (Math.round(ms) < 1000) return Math.round(Math.max(0, ms)) + " ms";
  return (ms < 10000 ? (ms / 1000).toFixed(1) : Math.round(ms / 1000)) + " s";
}

/** Milliseconds since 1970 as local date and time: "2026-11-22 01:05:09". */
export function dateTime(ms) {
  if (!isNumber(ms)) return DASH;
  const at = new Date(ms);
  const two = (n) => String(n).padStart(2, "0");
  return (
    [at.getFullYear(), two(at.getMonth() + 1), two(at.getDate())].join("-") +
    " " +
    [two(at.getHours()), two(at.getMinutes()), two(at.getSeconds())].join(":")
  );
}

/** Frames per second: "25", "29.97". */
export function frameRate(value) {
  return isNumber(value) && value > 0 ? String(Number(value.toFixed(2))) : DASH;
}

/** A Video of the API: "H.264 1280×720 25 fps", whose last two words stay together; what is not known is left out. */
export function video(track) {
  if (!track) return DASH;
  const parts = [track.codec];
  if (track.width && track.height) parts.push(track.width + "×" + track.height);
  if (track.frame_rate) parts.push(frameRate(track.frame_rate) + "\u00a0fps");
  return parts.join(" ");
}

/** An Audio of the API: "AAC 44.1 kHz stereo". */
export function audio(track) {
  if (!track) return DASH;
  const parts = [track.codec];
  if (track.sample_rate_hz) parts.push(Number((track.sample_rate_hz / 1000).toFixed(2)) + " kHz");
  if (track.channels) parts.push({ 1: "mono", 2: "stereo" }[track.channels] ?? track.channels + " channels");
  return parts.join(" ");
}
