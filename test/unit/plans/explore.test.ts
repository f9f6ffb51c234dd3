// Every state that faults and killed verbs can bring a cluster into, and from each of them every verb: what must hold
// does.
import { availableParallelism } from 'node:os'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { explore } from '../../support/explorer.ts'
import { exploreApart } from '../../support/explorers.ts'
import { type Title, walks } from '../../support/walks.ts'

/** Beside other tests one does, here; `npm run explore`, which goes far, takes one for each core. */
const explorers = process.env.EXPLORED_STATES ? availableParallelism() : 1

for (const title of Object.keys(walks) as Title[])
  test(title, async () => {
    const found = explorers > 1 ? await exploreApart(title, explorers) : explore(walks[title])
    console.log(`measured: ${found}; no dead end, and no broken promise`)
    assert.ok(Number.parseInt(found, 10) > 200)
  })

test.run()
