// What the board needs beside live.js: tables keep how far they were pushed sideways, and paper shows every table.
"use strict";

(function () {
  var pushed = {};
  document.addEventListener("scroll", function (event) {
    if (event.target.id) pushed[event.target.id] = event.target.scrollLeft;
  }, true);
  document.addEventListener("htmx:afterSwap", function () {
    Object.keys(pushed).forEach(function (id) {
      var table = document.getElementById(id);
      if (table) table.scrollLeft = pushed[id];
    });
  });

  var closed = [];
  window.addEventListener("beforeprint", function () {
    closed = Array.from(document.querySelectorAll("main details:not([open])"));
    closed.forEach(function (node) { node.open = true; });
  });
  window.addEventListener("afterprint", function () {
    closed.forEach(function (node) { node.open = false; });
  });
})();
