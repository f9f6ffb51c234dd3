// End-to-end tests that take minutes each: they run where they are asked for, as once a week in CI.
import { test } from 'uvu'

/** E2E_LONG=1 npm run test:e2e -- PART_OF_A_PATH */
export const isLong = process.env.E2E_LONG !== undefined

export const long = (title: string, prove: () => Promise<void>): void =>
  isLong ? test(title, prove) : test.skip(`${title} (only with E2E_LONG=1)`, () => {})
