// Parts of a page that fetch themselves anew (htmx), without flicker: equal figures are not drawn again, what is open
// stays open, and the focus stays where it is. Old figures keep their time until new ones are here.
"use strict";

(function () {
  var SHOWN = "mapaiShown";

  // Whether the part renews itself, or shows how it was when the server last answered.
  function tellAuto(part, stale) {
    part.querySelectorAll("[data-auto]").forEach(function (node) { node.hidden = !!stale; });
    part.querySelectorAll("[data-stale]").forEach(function (node) { node.hidden = !stale; });
  }

  function live(act) { document.querySelectorAll("[data-live]").forEach(act); }

  function nth(part, selector, node) {
    return Array.prototype.indexOf.call(part.querySelectorAll(selector), node);
  }

  // What a reader did to the part since it came: which details are open, and where the focus stands.
  function remember(part) {
    var focused = part.contains(document.activeElement) ? document.activeElement : null;
    return {
      open: Array.prototype.map.call(part.querySelectorAll("details"), function (node) { return node.open; }),
      id: focused && focused.id,
      tag: focused && focused.tagName,
      index: focused ? nth(part, focused.tagName, focused) : -1
    };
  }

  function restore(part, was) {
    var details = part.querySelectorAll("details");
    if (details.length === was.open.length) was.open.forEach(function (open, index) { details[index].open = open; });
    if (!was.tag) return;
    var node = (was.id && document.getElementById(was.id)) || part.querySelectorAll(was.tag)[was.index];
    if (node) node.focus({ preventScroll: true });
  }

  document.addEventListener("htmx:beforeRequest", function (event) {
    if (document.hidden && event.target.hasAttribute("data-live")) event.preventDefault();
  });

  document.addEventListener("htmx:beforeSwap", function (event) {
    var part = event.detail.target, text = event.detail.xhr.responseText;
    if (!part.hasAttribute("data-live")) return;
    if (event.detail.xhr.status < 400) tellAuto(part);
    if (part[SHOWN] === text) { event.detail.shouldSwap = false; return; }
    part[SHOWN] = text;
    part.mapaiWas = remember(part);
  });

  document.addEventListener("htmx:afterSwap", function (event) {
    var part = event.detail.target;
    if (!part.mapaiWas) return;
    restore(part, part.mapaiWas);
    part.mapaiWas = null;
    tellAuto(part);
  });

  ["htmx:sendError", "htmx:responseError", "htmx:timeout"].forEach(function (failed) {
    document.addEventListener(failed, function (event) {
      if (event.target.hasAttribute("data-live")) tellAuto(event.target, true);
    });
  });
  window.addEventListener("offline", function () { live(function (part) { tellAuto(part, true); }); });

  live(function (part) { tellAuto(part, navigator.onLine === false); });
})();
