// Reads the page's main state aloud, in the page's language. The button shows only where the device can speak it.
"use strict";

(function () {
  var box = document.querySelector("[data-aloud-button]"), speech = window.speechSynthesis;
  if (!box || !speech || !window.SpeechSynthesisUtterance) return;
  var button = box.querySelector("button"), word = button.querySelector("span"), start = word.textContent;

  // What the page marks as its state; on a page that marks nothing, its heading and the first answer or notice.
  function parts() {
    var marked = document.querySelectorAll("[data-aloud]");
    return marked.length ? marked : document.querySelectorAll("main h1, main .stage, main .verdict, main .notice");
  }

  function text() {
    return Array.prototype.map.call(parts(), function (node) { return node.innerText; }).join("\n").replace(/\s*\n\s*/g, ". ");
  }

  function show(speaking) {
    word.textContent = speaking ? button.dataset.wordStop : start;
    button.setAttribute("aria-pressed", speaking ? "true" : "false");
  }

  button.addEventListener("click", function () {
    if (speech.speaking || speech.pending) { speech.cancel(); show(false); return; }
    var said = new SpeechSynthesisUtterance(text());
    said.lang = document.documentElement.lang === "en" ? "en-GB" : "zh-CN";
    said.rate = 0.9;
    said.onend = said.onerror = function () { show(false); };
    show(true);
    speech.speak(said);
  });
  window.addEventListener("pagehide", function () { speech.cancel(); });
  box.hidden = false;
})();
