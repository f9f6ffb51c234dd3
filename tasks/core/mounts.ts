// A folder on which a disk or a share belongs that is not mounted: what is written there fills this machine's own disk.
import { readFileIfThere, realPath } from './files.ts'

/** Where something should be mounted, by /etc/fstab, that would hold this folder; undefined: nowhere, or it is. */
export const unmountedAt = (folder: string): string | undefined =>
  unmounted(realPath(folder), readFileIfThere('/etc/fstab') ?? '', readFileIfThere('/proc/self/mounts') ?? '')

/** Both tables are as fstab(5) says. Pure. Without a table of what is mounted nothing is known. */
export function unmounted(folder: string, table: string, mounted: string): string | undefined {
  const holding = (text: string): string[] => pointsIn(text).filter((point) => `${folder}/`.startsWith(`${point}/`))
  const deepest = Math.max(0, ...holding(mounted).map(({ length }) => length))
  return mounted === '' ? undefined : holding(table).find(({ length }) => length > deepest)
}

/** The places other than /, in which a space is \040. */
const pointsIn = (text: string): string[] =>
  text.split('\n').flatMap((line) => {
    const [what = '', point = ''] = line.trim().split(/\s+/)
    const path = point.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
    return what.startsWith('#') || !/^\/./.test(path) ? [] : [path.replace(/\/$/, '')]
  })
