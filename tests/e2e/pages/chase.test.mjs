// Delay chasing: decisions one by one, and a simulated viewer whose delay must settle.

import assert from "node:assert/strict";
import { test } from "node:test";
import { FASTEST, MAX_TARGET, SLOWEST, TARGET, afterCalm, afterStall, decide } from "../../../src/server/web/pages/chase.mjs";

const at = (position, ranges, more = {}) => decide({ position, ranges, rate: 1, target: TARGET, isSeeking: false, ...more });

test("nothing is done without a buffer or while a seek is under way", () => {
  assert.deepEqual(at(0, []), { rate: 1, jump: null, behind: 0 });
  assert.equal(at(0, [[0, 30]], { isSeeking: true }).jump, null);
});

test("more than three seconds behind is a jump to where live is aimed at", () => {
  assert.equal(at(0, [[0, 3]]).jump, null);
  assert.equal(at(0, [[0, 3.1]]).jump, 3.1 - TARGET);
});

test("at the start a jump comes sooner", () => {
  assert.equal(at(0, [[0, 1.5]], { isStart: true }).jump, 1.5 - TARGET);
  assert.equal(at(0, [[0, 1.25]], { isStart: true }).jump, null);
});

test("some seconds behind is made up for at a tenth more speed at most", () => {
  assert.equal(at(0, [[0, 1.05]]).rate, 1);
  const { rate, jump } = at(0, [[0, 2.9]]);
  assert.ok(rate > 1.05 && rate <= FASTEST && jump === null, String(rate));
});

test("chasing goes on until the target is reached and no farther", () => {
  assert.equal(at(0, [[0, 1]], { rate: 1 }).rate, 1);
  assert.ok(at(0, [[0, 1]], { rate: 1.05 }).rate > 1);
  assert.equal(at(0, [[0, 0.89]], { rate: 1.05 }).rate, 1);
});

test("a buffer that is nearly empty slows down until half of the target is there", () => {
  assert.equal(at(0, [[0, 0.2]]).rate, SLOWEST);
  assert.equal(at(0, [[0, 0.4]], { rate: SLOWEST }).rate, SLOWEST);
  assert.equal(at(0, [[0, 0.4]]).rate, 1);
  assert.equal(at(0, [[0, 0.6]], { rate: SLOWEST }).rate, 1);
});

test("a hole in front of the position is jumped over, however small", () => {
  assert.equal(at(5, [[0, 5], [5.1, 5.6]]).jump, 5.1);
  assert.equal(at(5, [[0, 5], [8, 12]]).jump, 12 - TARGET);
  assert.equal(at(0, [[100, 100.5]]).jump, 100);
  assert.equal(at(5, [[5.01, 5.9]]).jump, null);
});

test("a position behind the end of what there is goes back into it", () => {
  assert.equal(at(500, [[0, 4]]).jump, 4 - TARGET);
  assert.equal(at(4.3, [[0, 4]]).jump, null);
});

test("stalls raise the target up to a bound and calm takes it back", () => {
  let target = TARGET;
  for (let i = 0; i < 10; i += 1) target = afterStall(target);
  assert.equal(target, MAX_TARGET);
  assert.equal(afterCalm(target, 60), MAX_TARGET - 0.5);
  assert.equal(afterCalm(TARGET, 600), TARGET);
});

test("a viewer who joins with a long buffer settles at the target and stays there", () => {
  for (const joined of [0.3, 1, 2.5, 2.99, 9]) {
    let [position, end, rate] = [0, joined, 1];
    for (let ms = 0; ms < 60_000; ms += 200) {
      end += 0.2;
      position = Math.min(end, position + 0.2 * rate);
      const decision = at(position, [[0, end]], { rate });
      position = decision.jump ?? position;
      rate = decision.rate;
    }
    assert.ok(end - position < 1.15, `joined ${joined} s behind, ${end - position} s after a minute`);
    assert.ok(end - position > 0.25, `joined ${joined} s behind, ${end - position} s after a minute`);
  }
});
