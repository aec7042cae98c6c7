// Holds report pages against a browser and against axe-core: no message on the console, no request that leaves the file, no
// script, nothing wider than its place, nothing over something else, and nothing that axe-core objects to; at four widths, in
// light, in dark, and as print sets it.
//
// usage: node judge.mjs <folder with node_modules> <folder of pages> [<folder for screenshots>]
//
// CHROMIUM names the browser. Prints "ok …" and "not ok …" for each page.

import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'

const [modules, folder, shots] = process.argv.slice(2)
const require = createRequire(path.resolve(modules, 'here.cjs'))
const puppeteer = require('puppeteer-core')
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8')

const WIDTHS = [320, 768, 1200, 1600]
// A4 less the page's margins, at CSS's 96 dots an inch: (210 - 24) / 25.4 * 96.
const PRINT = 703
// A pixel is what rounding makes.
const SLACK = 1

// What stands wider than its place, and what stands over something else. Runs in the page.
function faults(slack) {
  const found = []
  const name = (element) => `${element.tagName.toLowerCase()}.${element.className} "${element.textContent.trim().slice(0, 40)}"`
  const root = document.documentElement
  if (root.scrollWidth > root.clientWidth + slack) found.push(`the page is ${root.scrollWidth} px wide on ${root.clientWidth}`)
  const isShown = (element) => {
    const style = getComputedStyle(element)
    return style.visibility !== 'hidden' && style.display !== 'none' && element.getClientRects().length > 0
  }
  // The boxes that hold text, side by side with others. A bar hides what does not fit, and a table's region scrolls.
  const places = [...document.querySelectorAll('h1, .sowhat, .figures div, .lane .name, .lane .out, .three > section, .where li, .note, caption, .cmd li, footer')]
  for (const place of places.filter(isShown)) {
    if (place.scrollWidth > place.clientWidth + slack && getComputedStyle(place).display !== 'inline') {
      found.push(`${name(place)} is wider than its place: ${place.scrollWidth} on ${place.clientWidth}`)
    }
  }
  // The text's own rectangles.
  const boxes = []
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const parent = node.parentElement
    if (!node.textContent.trim() || !isShown(parent) || parent.closest('.vh, .scroll, .key')) continue
    const clip = parent.closest('.fit, small')?.getBoundingClientRect()
    const range = document.createRange()
    range.selectNodeContents(node)
    for (const one of range.getClientRects()) {
      // Out of sight in its bar.
      if (clip && (one.top > clip.bottom - slack || one.bottom < clip.top + slack)) continue
      boxes.push({ node, one })
    }
  }
  // A word of a table breaks nowhere.
  const texts = (cell) => [...cell.childNodes].flatMap((node) => (node.nodeType === Node.TEXT_NODE ? [node] : texts(node)))
  for (const text of [...document.querySelectorAll('th, td')].filter(isShown).flatMap(texts)) {
    for (const { 0: word, index } of text.textContent.matchAll(/(?<!\S)\S{2,20}(?!\S)/g)) {
      const range = document.createRange()
      range.setStart(text, index)
      range.setEnd(text, index + word.length)
      const tops = new Set([...range.getClientRects()].map((one) => Math.round(one.top)))
      if (tops.size > 1) found.push(`"${word}" breaks inside, in the table's cell "${text.textContent.slice(0, 30)}"`)
    }
  }
  boxes.sort((one, other) => one.one.top - other.one.top)
  for (let first = 0; first < boxes.length; first++) {
    for (let second = first + 1; second < boxes.length && boxes[second].one.top < boxes[first].one.bottom; second++) {
      const [a, b] = [boxes[first].one, boxes[second].one]
      if (boxes[first].node === boxes[second].node) continue
      const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left)
      const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top)
      // Lines of a paragraph touch by their leading.
      if (wide > slack && high > 5) found.push(`"${boxes[first].node.textContent.trim().slice(0, 30)}" lies over "${boxes[second].node.textContent.trim().slice(0, 30)}"`)
    }
  }
  return found
}

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--force-color-profile=srgb']
})
let failed = 0
if (shots) mkdirSync(shots, { recursive: true })

// Everything that is wrong with a page.
async function judge(url, shoot) {
  const wrong = new Set()
  const page = await browser.newPage()
  page.on('console', (message) => wrong.add(`the console says: ${message.text()}`))
  page.on('pageerror', (error) => wrong.add(`an error: ${error.message}`))
  page.on('request', (request) => request.url() === url || wrong.add(`a request leaves: ${request.url()}`))
  // axe-core is our script, not the page's.
  await page.setBypassCSP(true)
  await page.goto(url)
  if (await page.evaluate(() => document.scripts.length)) wrong.add('it has a script')
  await page.evaluate(axe)
  const look = async (as) => {
    for (const one of await page.evaluate(faults, SLACK)) wrong.add(`${as}: ${one}`)
    const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }))
    for (const { id, nodes } of violations) wrong.add(`${as}: axe-core: ${id}: ${nodes[0].target} (${nodes.length}): ${nodes[0].any[0]?.message ?? ''}`)
  }
  for (const scheme of ['light', 'dark']) {
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }])
    for (const width of WIDTHS) {
      await page.setViewport({ width, height: 900 })
      await look(`${scheme}, ${width} px`)
      if (width === 1200 || (width === 320 && scheme === 'light')) await shoot(page, `${scheme}-${width}`)
    }
  }
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'light' }])
  await page.emulateMediaType('print')
  await page.setViewport({ width: PRINT, height: 1000 })
  for (const one of await page.evaluate(faults, SLACK)) wrong.add(`print: ${one}`)
  await shoot(page, 'print')
  await page.close()
  return [...wrong]
}

// A judge that finds nothing may be blind.
const planted = await judge(new URL('planted.html', import.meta.url).href, () => {})
for (const kind of ['the console says', 'a request leaves', 'it has a script', 'the page is', 'wider than its place', 'lies over', 'breaks inside', 'color-contrast', 'image-alt']) {
  if (planted.some((one) => one.includes(kind))) console.log(`ok planted: ${kind}`)
  else {
    failed++
    console.log(`not ok planted: nobody sees "${kind}"`)
  }
}
for (const file of readdirSync(folder).filter((file) => file.endsWith('.html')).sort()) {
  const shoot = (page, as) => shots && page.screenshot({ path: path.join(shots, `${file}-${as}.png`), fullPage: true })
  const wrong = await judge(pathToFileURL(path.join(folder, file)).href, shoot)
  for (const one of wrong) console.log(`not ok ${file}: ${one}`)
  failed += wrong.length
  if (wrong.length === 0) console.log(`ok ${file}: ${WIDTHS.join(', ')} px, light and dark, and print`)
}
await browser.close()
process.exitCode = failed ? 1 : 0
