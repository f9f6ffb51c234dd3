// Loaded before every script (.npmrc): Node strips types by itself from 22.18 on; for an older one, strip.mjs does.
import module from 'node:module'
import { fileURLToPath } from 'node:url'

if (!process.features.typescript) {
  module.register('./strip.mjs', import.meta.url)
  process.setSourceMapsEnabled(true)
}
// Code once compiled is kept, which halves a start: in a folder of the project's own, not in /tmp, where others could
// lay down code for us. Coverage wants to see everything compiled.
else if (!process.env.NODE_V8_COVERAGE)
  module.enableCompileCache?.(fileURLToPath(new URL('../../node_modules/.cache/compiled', import.meta.url)))
