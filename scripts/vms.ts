#!/usr/bin/env -S npx zx
import { main } from '../tasks/core/script.ts'
import { verb } from '../tasks/verbs/vms.ts'

await main(verb)
