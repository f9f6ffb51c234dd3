#!/usr/bin/env -S npx zx
import { main } from '../tasks/core/script.ts'
import { verb } from '../tasks/verbs/schedule.ts'

await main(verb)
