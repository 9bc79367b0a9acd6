// Shared by all widgets: it stands before each of their modules. Text from the data is set as text, never as HTML.

function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

