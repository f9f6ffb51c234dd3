// Whether a database reaches its quota: told where its growth shows it, and else nothing is said.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Size } from '../../../tasks/core/record.ts'
import { quotaOf, reachesQuota, withSize } from '../../../tasks/etcd/growth.ts'

const [hour, day] = [3_600_000, 86_400_000]
/** Sizes in MB, one in each so many hours. */
const points = (sizes: number[], hours = 24) => sizes.map((size, at) => ({ at: at * hours * hour, size }))

/** In how many days a quota of 1000 MB is reached. */
const daysLeft = (sizes: number[], hours?: number): number | undefined => {
  const found = reachesQuota(points(sizes, hours), 1000)
  return found && Math.round((10 * found.left) / day) / 10
}

const cases: [what: string, sizes: number[], hours: number, days: number | undefined][] = [
  ['steady growth reaches it', [600, 650, 700, 750, 800], 24, 4],
  ['so does growth by the hour, over a day', [500, 550, 600, 650, 700, 750], 5, 1],
  ['a little noise is no matter', [600, 640, 710, 745, 805], 24, 3.8],
  ['full already: at once', [700, 800, 900, 1000], 24, 0],
  ['too few sizes say nothing', [600, 700, 800], 24, undefined],
  ['less than a day says nothing', [600, 650, 700, 750, 800], 5, undefined],
  ['no growth, none is told of', [800, 800, 800, 800, 800], 24, undefined],
  ['it shrinks', [900, 880, 870, 860, 850], 24, undefined],
  ['up and down is no growth', [800, 860, 790, 850, 795, 855], 24, undefined],
  [
    'slow growth is far off: more than a month',
    [500, 502, 504, 506, 508, 510, 512, 514, 516, 518, 520, 522],
    24,
    undefined,
  ],
  ['nobody looks more than three times as far ahead as back', [100, 130, 160, 190], 24, undefined],
  ['before a defragmentation it grew, since then nobody can tell', [600, 700, 800, 900, 300, 310], 24, undefined],
  ['what grows again after it counts from there', [900, 950, 400, 500, 600, 700], 24, 3],
]

for (const [what, sizes, hours, days] of cases) test(what, () => assert.is(daysLeft(sizes, hours), days))

const iso = (ms: number): string => new Date(ms).toISOString()

test('sizes are noted once an hour; a smaller one at once; of a wrong clock, too; the oldest go', () => {
  const first: Size[] = [[iso(0), 100]]
  assert.is(withSize(first, [iso(hour / 2), 110]).length, 1)
  assert.is(withSize(first, [iso(hour), 110]).length, 2)
  assert.is(withSize(first, [iso(hour / 2), 50]).length, 2)
  assert.is(withSize(first, [iso(-day), 110]).length, 2)
  const many = Array.from({ length: 300 }, (_, at): Size => [iso(at * hour), at])
  const sizes = many.reduce<Size[]>((all, size) => withSize(all, size), [])
  assert.equal([sizes.length, sizes[0]?.[1], sizes.at(-1)?.[1]], [200, 100, 299])
})

test('the quota is the lowest that members tell, else what is set, else what etcd takes; there may be none', () => {
  const told = (...bytes: number[]) => bytes.map((quotaBytes) => ({ quotaBytes }))
  assert.equal(
    [quotaOf(told(8, 5), '9'), quotaOf(told(0, 0), '9'), quotaOf(told(0), undefined), quotaOf(told(0), '-1')],
    [5, 9, 2 ** 31, undefined],
  )
})

test.run()
