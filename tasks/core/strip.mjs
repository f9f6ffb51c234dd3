// Strips types for a Node that cannot: of each text once, and what came of it is kept in a folder of the project's own.
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'

const cache = new URL('../../node_modules/.cache/stripped/', import.meta.url)

/** Node's hook: the source of a module. */
export async function load(url, context, next) {
  if (!url.endsWith('.ts')) return next(url, context)
  const text = readFileSync(fileURLToPath(url), 'utf8')
  const name = basename(fileURLToPath(url))
  const kept = new URL(createHash('sha256').update(`${name}\0${text}`).digest('hex'), cache)
  // one that a crash of the machine left empty counts as none
  return { format: 'module', source: textOf(kept) || (await strip(name, text, kept)), shortCircuit: true }
}

function textOf(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}

async function strip(name, text, kept) {
  const { transform } = await import('esbuild')
  const { code } = await transform(text, { loader: 'ts', target: 'node20', sourcemap: 'inline', sourcefile: name })
  const unfinished = new URL(`${kept.href}.${process.pid}`)
  try {
    mkdirSync(cache, { recursive: true })
    writeFileSync(unfinished, code)
    renameSync(unfinished, kept)
  } catch {} // another user's folder: then the next start strips it again
  return code
}
