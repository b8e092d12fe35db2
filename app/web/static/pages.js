// Everything works without this file. It only leads to what is wrong and guards against double clicks.
"use strict";

(function () {
  document.querySelectorAll("[data-focus]").forEach(function (node) { node.focus(); });

  // Of a row of tabs wider than the screen, the one that is open is seen.
  document.querySelectorAll(".tabs [aria-current]").forEach(function (tab) {
    tab.parentElement.scrollLeft = tab.offsetLeft - tab.parentElement.offsetLeft - (tab.parentElement.clientWidth - tab.offsetWidth) / 2;
  });

  // A refused form is the answer to a POST: going back to it later would only show the browser's own error page.
  if (document.querySelector("[data-focus]")) history.replaceState(null, "", location.href);

  // A second click on the same form is dropped; the server would answer it with the first answer anyway.
  document.querySelectorAll("form[method=post]").forEach(function (form) {
    form.addEventListener("submit", function (event) {
      if (form.dataset.sent === "yes") { event.preventDefault(); return; }
      form.dataset.sent = "yes";
      setTimeout(function () { form.dataset.sent = ""; }, 8000);
    });
  });
  window.addEventListener("pageshow", function () {
    document.querySelectorAll("form[method=post]").forEach(function (form) { form.dataset.sent = ""; });
  });
})();
