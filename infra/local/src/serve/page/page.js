// Takes what has changed from the page as it is now: whoever reads, or has scrolled a table, is not disturbed.
async function look() {
  try {
    const answer = await fetch('/', { cache: 'no-store' })
    if (!answer.ok) throw new Error(answer.statusText)
    const now = new DOMParser().parseFromString(await answer.text(), 'text/html')
    for (const part of now.querySelectorAll('[id]')) {
      const here = document.getElementById(part.id)
      if (here && here.innerHTML !== part.innerHTML) here.innerHTML = part.innerHTML
    }
    document.body.classList.remove('lost')
  } catch {
    document.body.classList.add('lost')
  }
  setTimeout(look, document.hidden ? 5000 : 1000)
}
setTimeout(look, 1000)
