import fs from 'node:fs'
import { CONTRACT, findHolders, readScenarios, render } from './contract.js'

fs.writeFileSync(CONTRACT, render(readScenarios(), findHolders()))
