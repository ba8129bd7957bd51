// The ways to play a stream in a video element: mpegts.js (FLV over HTTP or WebSocket), hls.js, the browser's own HLS.
//
// An engine is { stop(), facts() }. It tells its caller `onAttached()` when play() of the element makes sense (a source that
// is set later would end the attempt), `onEnd()` when the stream has ended properly and `onError(why)`
// when anything is wrong; never both, never twice, nothing after stop(). Starting again is the caller's business.
// Libraries are loaded when they are needed first. No workers: the page does nothing else, and a strict
// Content-Security-Policy stays possible.

let flvLibrary = null;

/** mpegts.js is a classic script that sets a global. */
function loadFlv() {
  flvLibrary ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = "/_weir/vendor/mpegts.js/mpegts.js";
    script.onload = () => {
      window.mpegts.LoggingControl.enableAll = false;
      resolve(window.mpegts);
    };
    script.onerror = () => {
      flvLibrary = null;
      script.remove();
      reject(new Error("mpegts.js did not load"));
    };
    document.head.append(script);
  });
  return flvLibrary;
}

const loadHls = () => import("/_weir/vendor/hls.js/hls.light.min.mjs").then((module) => module.default);

const mediaSource = () => window.MediaSource ?? window.ManagedMediaSource;

/** What this browser has, for transport.capabilities(). */
export const browser = {
  mse: Boolean(window.MediaSource),
  nativeHls: document.createElement("video").canPlayType("application/vnd.apple.mpegurl") !== "",
  canDecode: (mime) => Boolean(mediaSource()?.isTypeSupported(mime)) || document.createElement("video").canPlayType(mime) !== "",
};

/** Lets one of the callbacks through, once, and none after close(). */
function once({ onEnd, onError }) {
  let open = true;
  const through = (callback) => (argument) => {
    if (!open) return;
    open = false;
    callback(argument);
  };
  return { end: through(onEnd), error: through(onError), close: () => void (open = false), isOpen: () => open };
}

/**
 * What every engine of a library is: `load` brings the library and `start` a player of it, unless it was stopped before; `facts`
 * gets the player, null while there is none.
 */
function engine({ tell, load, start, facts }, callbacks) {
  let player = null;
  load().then(
    (library) => {
      if (!tell.isOpen()) return;
      player = start(library);
      callbacks.onAttached();
    },
    (error) => tell.error(error.message),
  );
  return {
    stop() {
      tell.close();
      player?.destroy();
      player = null;
    },
    facts: () => facts(player),
  };
}

/**
 * FLV, live or a file.
 * @param {{isLive: boolean, hasAudio?: boolean}} options
 */
export function flv(video, url, options, callbacks) {
  const tell = once(callbacks);
  let speed = null;
  let samples = 0;
  const start = (mpegts) => {
    const source = { type: "flv", isLive: options.isLive, url };
    if (options.hasAudio !== undefined) source.hasAudio = options.hasAudio;
    const live = { enableStashBuffer: false, lazyLoad: false, autoCleanupMaxBackwardDuration: 30, autoCleanupMinBackwardDuration: 15 };
    const player = mpegts.createPlayer(source, {
      isLive: options.isLive,
      ...(options.isLive ? live : {}),
      autoCleanupSourceBuffer: true,
      deferLoadAfterSourceOpen: false,
    });
    player.on(mpegts.Events.ERROR, (type, detail, info) => {
      const notThere = info?.code === 404;
      if (notThere) tell.end();
      else tell.error([type, detail, info?.code > 0 ? info.code : "", info?.msg].filter(Boolean).join(" "));
    });
    if (options.isLive) player.on(mpegts.Events.LOADING_COMPLETE, () => tell.end());
    // Kilobytes a second, of 1024; mpegts.js tells every 600 ms.
    player.on(mpegts.Events.STATISTICS_INFO, (info) => {
      // The first contain what was held for late joiners.
      samples += 1;
      if (samples > 3) speed = speed === null ? info.speed : speed * 0.8 + info.speed * 0.2;
    });
    player.attachMediaElement(video);
    player.load();
    return player;
  };
  const facts = () => ({ bitrate: speed === null ? null : speed * 1024 * 8, delay: null, chase: true });
  return engine({ tell, load: loadFlv, start, facts }, callbacks);
}

/** Farther behind than what hls.js aims at plus this, in seconds: it neither plays faster then nor jumps, and would stay there. */
const HLS_FAR = 2.5;

/** HLS by hls.js. */
export function hls(video, url, callbacks) {
  const tell = once(callbacks);
  let bitrate = null;
  const start = (Hls) => {
    const player = new Hls({ enableWorker: false, lowLatencyMode: true, maxLiveSyncPlaybackRate: 1.1, liveSyncOnStallIncrease: 0.3, backBufferLength: 30 });
    let repaired = false;
    player.on(Hls.Events.ERROR, (_, data) => {
      if (!data.fatal) return;
      if (data.response?.code === 404) tell.end();
      else if (data.type === Hls.ErrorTypes.MEDIA_ERROR && !repaired) {
        // A codec that changed, mostly; a second time is no accident.
        repaired = true;
        player.recoverMediaError();
      } else tell.error(data.details);
    });
    player.on(Hls.Events.LEVEL_UPDATED, (_, data) => {
      // The end of the playlist is reported when its last piece has been played, not when it is announced.
      if (!data.details.live) video.addEventListener("ended", () => tell.end(), { once: true });
    });
    player.on(Hls.Events.FRAG_BUFFERED, (_, data) => {
      const seconds = data.frag.duration;
      const size = data.frag.stats.total || data.frag.stats.loaded;
      if (seconds > 0 && size > 0) bitrate = (size * 8) / seconds;
    });
    player.loadSource(url);
    player.attachMedia(video);
    return player;
  };
  const facts = (player) => {
    const delay = player?.latency > 0 ? player.latency * 1000 : null;
    const isFar = player !== null && player.latency > player.targetLatency + HLS_FAR;
    return { bitrate, delay, chase: false, live: isFar ? player.liveSyncPosition : null };
  };
  return engine({ tell, load: loadHls, start, facts }, callbacks);
}

/** A file, or HLS by the browser itself. */
export function native(video, url, callbacks) {
  const tell = once(callbacks);
  const onError = () => tell.error(video.error?.message || "the browser cannot play it");
  const onEnded = () => tell.end();
  video.addEventListener("error", onError);
  video.addEventListener("ended", onEnded);
  video.src = url;
  callbacks.onAttached();
  return {
    stop() {
      tell.close();
      video.removeEventListener("error", onError);
      video.removeEventListener("ended", onEnded);
      video.removeAttribute("src");
      video.load();
    },
    facts() {
      // Safari alone tells which time of day is shown.
      const start = video.getStartDate?.().getTime();
      const delay = start > 0 ? Date.now() - start - video.currentTime * 1000 : null;
      return { bitrate: null, delay, chase: false };
    },
  };
}
