// Stays close behind live: what to do about playback position and speed, from what is buffered.
//
// Pure: the caller looks at the video element several times a second, asks decide() and does what it says. Speed is
// changed gently (sound keeps its pitch, nobody hears a tenth); only who is far behind jumps. Not for HLS: hls.js and
// Safari do it by themselves, by their own clock.
// Field notes: after joining, everything since the last keyframe is there at once, so the first decision is often a
// jump. A publisher that returns leaves a hole in the buffer: browsers stop in front of holes, even tiny ones.

/**
 * Seconds behind the end of the buffer that are aimed at; more after stalls, never more than MAX_TARGET. The way from the
 * encoder into the buffer and from there to the screen adds some 150 ms on a quick network: with TOLERANCE, 1.3 s at most.
 */
export const TARGET = 0.9;
export const MAX_TARGET = 2.5;
/** Farther behind than the target plus this: jump. 3 s with the first target. */
export const JUMP_PAST = 2.1;
/** The same in the first moments, when a jump is not noticed. */
export const JUMP_PAST_AT_START = 0.4;
export const FASTEST = 1.1;
export const SLOWEST = 0.95;
/** Chasing begins this far from the target and goes on until it is reached, so that the speed does not flutter. */
const TOLERANCE = 0.2;
/** Less than this in the buffer: slower, before it runs dry. */
const NEARLY_DRY = 0.25;
/** A start of the buffer this little ahead of the position is no hole. */
const TOUCHING = 0.02;

/**
 * @param {{position: number, ranges: [number, number][], rate: number, target: number, isSeeking: boolean, isStart?: boolean}} now
 *   seconds; ranges as in video.buffered; rate: the speed that was decided last; isStart: the first picture has just come
 * @returns {{rate: number, jump: number|null, behind: number}} speed, where to jump to, seconds behind the end
 */
export function decide({ position, ranges, rate, target, isSeeking, isStart = false }) {
  const stay = { rate: 1, jump: null, behind: 0 };
  if (ranges.length === 0) return stay;
  const [start, end] = ranges[ranges.length - 1];
  const behind = end - position;
  if (isSeeking) return { ...stay, behind: Math.max(0, behind) };

  // Not in the last range: everything before it is over.
  if (position < start - TOUCHING) {
    return { rate: 1, jump: Math.max(start, end - target), behind };
  }
  if (behind > target + (isStart ? JUMP_PAST_AT_START : JUMP_PAST)) return { rate: 1, jump: end - target, behind };
  // Past the end: the clock of the stream has begun anew and the old buffer is gone.
  if (behind < -1) return { rate: 1, jump: Math.max(start, end - target), behind: 0 };

  const isChasing = rate > 1;
  const isSaving = rate < 1;
  if (behind > target + TOLERANCE || (isChasing && behind > target)) {
    // One second too many is made up for at full speed, the last tenths slowly.
    return { rate: Math.min(FASTEST, 1.02 + 0.1 * (behind - target)), jump: null, behind };
  }
  if (behind < NEARLY_DRY || (isSaving && behind < target / 2)) return { rate: SLOWEST, jump: null, behind: Math.max(0, behind) };
  return { rate: 1, jump: null, behind };
}

/** The target after the picture has stood still for want of data: networks that stall once do it again. */
export const afterStall = (target) => Math.min(MAX_TARGET, target + 0.5);

/** The target after `calm` seconds without a stall: slowly back, half a second a minute. */
export const afterCalm = (target, calm) => Math.max(TARGET, target - calm / 120);
