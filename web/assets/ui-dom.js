/** Small helpers for the page. What people typed becomes text nodes, never HTML. */

const SVG = "http://www.w3.org/2000/svg";

export const one = (selector, root = document) => root.querySelector(selector);
export const all = (selector, root = document) => [...root.querySelectorAll(selector)];
export const action = (name, root = document) => one(`[data-action="${name}"]`, root);

/** Makes an HTML element; attributes that are `null` or `false` are left out. */
export function html(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Makes an SVG element. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

export function icon(name) {
  return svg("svg", { class: "icon", "aria-hidden": "true" }, svg("use", { href: `/assets/icons.svg#${name}` }));
}

/** Shows another picture in an element that has an icon. */
export function setIcon(element, name) {
  one("use", element).setAttribute("href", `/assets/icons.svg#${name}`);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}
