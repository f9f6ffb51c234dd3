// A test that imports this runs with the Ansible that doctor fetches where there is none, whatever PATH has: it is
// newer than the distribution's, and takes half as much time again; Vagrant's test, and long ones, show that both do.
import { delimiter } from 'node:path'
import { fetchedFolders } from '../../tasks/core/programs.ts'

process.env.PATH = [...fetchedFolders('ansible'), process.env.PATH].join(delimiter)
