// The worst thirty stories (test/support/worst.ts) on real members under load: only what the tool prints is followed,
// to a healthy cluster or the end that it names, and no acknowledged write is lost. STORIES: a
// pattern of titles.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { folderOf, use } from '../support/ladder.ts'
import { tellAll } from '../support/telling.ts'
import { testHome } from '../support/verbs.ts'
import { worst } from '../support/worst.ts'

const home = testHome()

async function begin(version: string): Promise<void> {
  await home.verb('down', '--yes', '--purge')
  use(home, folderOf(version))
  const { exitCode, stderr } = await home.verb('up', '--yes')
  assert.is(exitCode, 0, stderr)
}

const stories = worst.filter(({ where }) => where !== 'ssh')
tellAll(() => home, stories, process.env.STORIES ?? '', begin)

test.after(() => home.downAll())

test.run()
