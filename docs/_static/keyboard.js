// Boxes that scroll can be reached and scrolled with the keyboard, at every width of the window.
function reachable() {
  for (const box of document.querySelectorAll("div.cell_output, div.highlight pre, .bd-article table, mjx-container")) {
    if (box.scrollWidth > box.clientWidth) {
      box.setAttribute("tabindex", "0");
    }
  }
}
window.addEventListener("load", reachable);
window.addEventListener("resize", reachable);
