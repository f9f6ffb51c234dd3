// Waiting in tests: for what must come in the end, however busy the machine is.

export const pause = (ms: number): Promise<void> => new Promise((wake) => setTimeout(wake, ms))

/** Waits until it holds, and returns how many ms that took. @throws when it does not hold within `limitMs` */
export async function until(what: string, holds: () => boolean | Promise<boolean>, limitMs = 60_000): Promise<number> {
  const started = Date.now()
  while (!(await holds())) {
    if (Date.now() - started > limitMs) throw new Error(`${what}: not within ${limitMs / 1000} s`)
    await pause(20)
  }
  return Date.now() - started
}
