// When scheduled work is due: at its times, once however often it was missed, and whatever the clock does.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  begun,
  dueAt,
  dueNow,
  ended,
  isIdle,
  nextTime,
  periodOf,
  type Ran,
  type Schedule,
  withCutShort,
} from '../../../tasks/schedule/due.ts'
import { chanceOf } from '../../support/chance.ts'

const [minute, hour, day] = [60_000, 3_600_000, 86_400_000]
/** Hours after noon, in ms; all moments of these tests are said in them. */
const noon = Date.parse('2026-11-27T12:00:00Z')
const at = (hours: number): number => noon + hours * hour
const iso = (ms: number): string => new Date(ms).toISOString()

const every6h: Schedule = { every: '6h', from: iso(at(0)), made: iso(at(0)), words: [] }
/** A run that began then, and ended well a minute later, or failed for the so manieth time. */
const ran = (hours: number, fails = 0): Ran => ({
  ...{ of: every6h.made, began: iso(at(hours)), ended: iso(at(hours) + minute) },
  ...{ exitCode: fails > 0 ? 1 : 0, fails },
})
const due = (now: number, last?: Ran, schedule = every6h): string =>
  dueAt(schedule, last, at(now)) <= at(now) ? 'now' : String((dueAt(schedule, last, at(now)) - noon) / hour)

const cases: [what: string, now: number, last: Ran | undefined, when: string][] = [
  ['what has never run is due at once', 0, undefined, 'now'],
  ['what has run is due again after its period', 1, ran(0), '6'],
  ['at its time it is due', 6, ran(0), 'now'],
  ['a late run moves nothing: its next time is its usual one', 8, ran(7.9), '12'],
  ['one missed time is made up for', 13, ran(1), 'now'],
  ['many missed times are made up for once', 1000, ran(1), 'now'],
  ['once made up for, the usual times come again', 1000, ran(999.5), '1002'],
  ['a run of a moment ago by a clock that was set back a little counts', 5.99, ran(6), '12'],
  ['a run of next year was noted by a wrong clock', 7, ran(9000), 'now'],
  ['a failed run is tried again after a quarter of an hour', 0.1, ran(0, 1), String(1 / 60 + 0.25)],
  ['then after half an hour', 0.1, ran(0, 2), String(1 / 60 + 0.5)],
  ['never later than after its period', 0.1, ran(0, 30), String(1 / 60 + 6)],
  ['after its pause it is due', 0.5, ran(0, 1), 'now'],
  ['a failure of next year was noted by a wrong clock', 7, ran(9000, 3), 'now'],
  ['a run of an earlier schedule counts for nothing', 1, { ...ran(0.5), of: iso(at(-50)) }, 'now'],
]

for (const [what, now, last, when] of cases) test(what, () => assert.is(due(now, last), when))

test('a first time that is to come is waited for; one that a wrong clock made is not', () => {
  const tonight = { ...every6h, from: iso(at(14.5)) }
  assert.is(due(1, undefined, tonight), '14.5')
  assert.is(due(15, undefined, tonight), 'now')
  assert.is(due(1, undefined, { ...every6h, from: iso(at(9000)) }), 'now')
  assert.is(due(1, ran(0.5), { ...every6h, from: iso(at(9000)) }), '6')
})

test('what is rarer than a day is tried again within a day when it fails', () => {
  const weekly = { ...every6h, every: '1w' }
  assert.is(dueAt(weekly, ran(0, 20), at(1)), at(24) + minute)
})

test('several that are due go in a fixed order: first what saves data', () => {
  assert.equal(dueNow({ verify: every6h, backup: every6h }, {}, at(0)), ['backup', 'verify'])
  assert.equal(dueNow({ verify: every6h, backup: every6h }, { backup: ran(0) }, at(1)), ['verify'])
})

test('what began and did not end was cut short: it has failed, and is tried again', () => {
  const began = begun(every6h, undefined, new Date(at(1)))
  const { backup } = withCutShort({ backup: began })
  assert.equal(
    [backup?.exitCode, backup?.fails, backup && due(1.2, backup), due(1.3, backup)],
    [null, 1, '1.25', 'now'],
  )
  assert.equal(withCutShort({ backup: ran(0) }), { backup: ran(0) })
})

test('failures are counted until a run goes well; while one runs, what the last one said is kept', () => {
  const failed = { exitCode: 1, sentence: 'There is no quorum.', log: undefined }
  const first = ended(begun(every6h, undefined, new Date(at(0))), failed, new Date(at(0)))
  const again = begun(every6h, first, new Date(at(1)))
  assert.equal([again.fails, again.sentence, again.ended], [1, 'There is no quorum.', undefined])
  assert.is(ended(again, failed, new Date(at(1))).fails, 2)
  assert.is(ended(again, { ...failed, exitCode: 0 }, new Date(at(1))).fails, 0)
  assert.is(begun({ ...every6h, made: iso(at(2)) }, first, new Date(at(3))).fails, 0)
})

test('looked at by chance, with the machine off for hours, each period has one run and no more', () => {
  const chance = chanceOf(7)
  for (let story = 0; story < 50; story++) {
    let last: Ran | undefined
    const periodOfMoment = (moment: number): number => Math.floor((moment - at(0)) / (6 * hour))
    const [runs, looks]: [number[], number[]] = [[], []]
    for (let now = at(0); now < at(24 * 30); now += chance.below(10) === 0 ? chance.below(40) * hour : 5 * minute) {
      looks.push(periodOfMoment(now))
      if (dueAt(every6h, last, now) > now) continue
      runs.push(periodOfMoment(now))
      last = ended(begun(every6h, last, new Date(now)), { exitCode: 0, sentence: '', log: undefined }, new Date(now))
    }
    assert.equal(runs, [...new Set(looks)])
  }
})

test('whatever the clock does, after it is right again no time is missed', () => {
  const chance = chanceOf(11)
  for (let story = 0; story < 200; story++) {
    let last: Ran | undefined
    const look = (now: number): boolean => {
      if (dueAt(every6h, last, now) > now) return false
      const fails = chance.below(3) === 0
      last = ended(
        begun(every6h, last, new Date(now)),
        { exitCode: Number(fails), sentence: '', log: '' },
        new Date(now),
      )
      return true
    }
    for (let step = 0; step < 5; step++) look(at(chance.below(20_000) - 10_000))
    let ranIn = 0
    for (let now = at(0); now < at(12); now += 5 * minute) ranIn += Number(look(now))
    assert.ok(ranIn >= 1 && ranIn <= 12, `${ranIn} runs within twelve hours`)
  }
})

test('a period is a number and a unit, not shorter than two looks and not longer than a year', () => {
  const known: Record<string, number> = {
    '10m': 10 * minute,
    '6h': 6 * hour,
    '1d': day,
    '2w': 14 * day,
    '52w': 364 * day,
  }
  for (const [text, ms] of Object.entries(known)) assert.is(periodOf(text), ms)
  for (const text of ['', '6', 'h', '0h', '-1d', '1.5h', '6 h', '9m', '53w', '6H', '1y', '99999w', '1d1h'])
    assert.is(periodOf(text), undefined, text)
})

test('a time of day is the next one; what is none is refused', () => {
  const now = new Date(2026, 10, 27, 15, 0)
  assert.equal(nextTime('15:30', now), new Date(2026, 10, 27, 15, 30))
  assert.equal(nextTime('15:00', now), new Date(2026, 10, 28, 15, 0))
  assert.equal(nextTime('02:05', now), new Date(2026, 10, 28, 2, 5))
  for (const text of ['24:00', '2:30', '02:60', '0230', '', '02:30:00']) assert.is(nextTime(text, now), undefined, text)
})

test('nobody looks any more: no sign for an hour, or one that a wrong clock left; never any sign', () => {
  assert.equal(
    [[at(0)], [at(-2)], [at(-2), at(-0.5)], [at(5)], []].map((signs) => isIdle(signs, at(0))),
    [false, true, false, true, true],
  )
})

test.run()
