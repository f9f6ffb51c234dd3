// Loaded by test/run.ts before a test file: test files that import uvu get it through ./uvu.ts, which keeps count.
import { register } from 'node:module'

const watcher = new URL('./uvu.ts', import.meta.url).href

if (process.env.UVU_REPORT) {
  const hooks = `const watcher = ${JSON.stringify(watcher)}
  export const resolve = (name, context, next) =>
    next(name === 'uvu' && !context.parentURL?.startsWith(watcher) ? watcher : name, context)`
  register(`data:text/javascript,${encodeURIComponent(hooks)}`)
}
