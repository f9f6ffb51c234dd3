// Waiting in tests: for what must come in the end, however busy the machine is.

export const pause = (ms: number): Promise<void> => new Promise((wake) => setTimeout(wake, ms))

/**
 * Waits until it holds, and returns how many ms that took; the longer it takes, the less often it looks, for a look may
 * cost much. @throws when it does not hold within `limitMs`
 */
export async function until(what: string, holds: () => boolean | Promise<boolean>, limitMs = 60_000): Promise<number> {
  const started = Date.now()
  while (!(await holds())) {
    if (Date.now() - started > limitMs) throw new Error(`${what}: not within ${limitMs / 1000} s`)
    await pause(20 + (Date.now() - started) / 10)
  }
  return Date.now() - started
}
