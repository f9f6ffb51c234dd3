// Butane to Ignition, as far as our own flatcar.bu goes: files with their text, and units that are masked or enabled.
import { parse } from 'yaml'

interface Butane {
  variant: string
  version: string
  storage?: { files?: { path: string; mode?: number; contents?: { inline: string } }[] }
  systemd?: { units?: { name: string; mask?: boolean; enabled?: boolean; contents?: string }[] }
}

/** Which version of Ignition's format a version of Butane's variant flatcar becomes (coreos.github.io/butane/specs). */
const ignitionVersions: Record<string, string> = { '1.0.0': '3.3.0', '1.1.0': '3.4.0' }

const known = [
  /^(variant|version|storage|systemd)$/,
  /^storage\.files(\.\d+(\.(path|mode|contents(\.inline)?))?)?$/,
  /^systemd\.units(\.\d+(\.(name|mask|enabled|contents))?)?$/,
]

/** The Ignition configuration of a Butane one, as compact JSON. @throws Error naming a key that is not translated */
export function ignitionFrom(source: string): string {
  const butane = parse(source, { version: '1.1' }) as Butane // as Butane reads it: there 0644 is octal
  const version = ignitionVersions[butane.version]
  if (butane.variant !== 'flatcar' || !version)
    throw new Error(`Butane ${butane.variant} ${butane.version} is not translated here.`)
  const unknown = keysOf(butane).find((key) => !known.some((pattern) => pattern.test(key)))
  if (unknown) throw new Error(`The Butane key ${unknown} is not translated here.`)
  const files = butane.storage?.files?.map(({ path, mode, contents }) => ({
    path,
    ...(mode !== undefined && { mode }),
    ...(contents && { contents: { source: `data:,${encodeURIComponent(contents.inline)}` } }),
  }))
  return JSON.stringify({
    ignition: { version },
    ...(files && { storage: { files } }),
    ...(butane.systemd && { systemd: butane.systemd }),
  })
}

function keysOf(value: unknown, path = ''): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, below]) => [`${path}${key}`, ...keysOf(below, `${path}${key}.`)])
}
