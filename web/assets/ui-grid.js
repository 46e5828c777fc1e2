/** Gives each tile of a grid the largest size at which all of them fit. */
export class Grid {
  constructor(element) {
    this.element = element;
    new ResizeObserver(() => this.layout()).observe(element);
    new MutationObserver(() => this.layout()).observe(element, { childList: true });
  }

  layout() {
    const { clientWidth: width, clientHeight: height, children } = this.element;
    const gap = parseFloat(getComputedStyle(this.element).columnGap) || 0;
    const best = bestFit(children.length, width, height, gap);
    this.element.style.setProperty("--tile-w", `${Math.floor(best.width)}px`);
    this.element.style.setProperty("--tile-h", `${Math.floor(best.height)}px`);
  }
}

const WIDEST = 16 / 9;
const NARROWEST = 6 / 5;
/** A phone held upright makes tall tiles, as people are. */
const NARROWEST_ON_PHONES = 3 / 4;
const PHONE_WIDTH = 600;
const LEAST_HEIGHT = 120;

function bestFit(count, width, height, gap) {
  const narrowest = width > PHONE_WIDTH ? NARROWEST : NARROWEST_ON_PHONES;
  let best = { width: 0, height: 0 };
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns);
    const free = { width: (width - gap * (columns - 1)) / columns, height: Math.max((height - gap * (rows - 1)) / rows, LEAST_HEIGHT) };
    const tile = { width: Math.min(free.width, free.height * WIDEST), height: Math.min(free.height, free.width / narrowest) };
    if (tile.width * tile.height > best.width * best.height) best = tile;
  }
  return best;
}
