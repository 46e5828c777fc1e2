// Shows the chosen cell in words. Without it the same is in each cell's title, and at the end of the page.
const detail = document.getElementById('detail');
let chosen = null;
const show = (cell) => {
  detail.replaceChildren(cell.querySelector('template').content.cloneNode(true));
};
for (const cell of document.querySelectorAll('tbody td')) {
  cell.removeAttribute('title');
  cell.addEventListener('mouseenter', () => show(cell));
  cell.addEventListener('focus', () => show(cell));
  cell.addEventListener('mouseleave', () => { if (chosen) show(chosen); });
  cell.addEventListener('click', () => {
    chosen?.classList.remove('chosen');
    chosen = chosen === cell ? null : cell;
    chosen?.classList.add('chosen');
  });
}
