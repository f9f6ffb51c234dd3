#!/usr/bin/env -S npx zx
import { phaseScript } from '../tasks/phases.ts'

await phaseScript('etcd-role')
