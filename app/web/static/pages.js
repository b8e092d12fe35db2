// Everything works without this file. It only refreshes live figures, shrinks photos and guards against double clicks.
"use strict";

(function () {
  function refresh(part) {
    if (document.hidden) return;
    fetch(part.dataset.live, { credentials: "same-origin", headers: { Accept: "text/html" } })
      .then(function (answer) { return answer.ok ? answer.text() : null; })
      .then(function (html) {
        // Old figures stay with their time until new ones are here; nothing is replaced by nothing.
        if (html !== null && html !== part.dataset.shown) {
          part.dataset.shown = html;
          if (part.contains(document.activeElement)) return;
          part.innerHTML = html;
          tellAuto(part);
        }
      })
      .catch(function () { /* the time on the figures says how old they are */ });
  }

  function tellAuto(part) {
    part.querySelectorAll("[data-auto]").forEach(function (node) { node.hidden = false; });
  }

  document.querySelectorAll("[data-live]").forEach(function (part) {
    tellAuto(part);
    setInterval(refresh, 1000 * Number(part.dataset.every || 5), part);
  });

  document.querySelectorAll("[data-focus]").forEach(function (node) { node.focus(); });

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

  // Photos from a phone are 3 to 8 MB; 1600 pixels a side are enough to read a frame number.
  function shrink(input) {
    var file = input.files && input.files[0];
    if (!file || file.size < 600 * 1024 || !window.createImageBitmap || !window.DataTransfer) return;
    createImageBitmap(file).then(function (picture) {
      var scale = Math.min(1, 1600 / Math.max(picture.width, picture.height));
      var canvas = document.createElement("canvas");
      canvas.width = Math.round(picture.width * scale);
      canvas.height = Math.round(picture.height * scale);
      canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
      canvas.toBlob(function (blob) {
        if (!blob || blob.size >= file.size) return;
        var hold = new DataTransfer();
        hold.items.add(new File([blob], "photo.jpg", { type: "image/jpeg" }));
        input.files = hold.files;
      }, "image/jpeg", 0.85);
    }).catch(function () { /* the picture goes up as it is */ });
  }
  document.querySelectorAll("input[type=file][data-shrink]").forEach(function (input) {
    input.addEventListener("change", function () { shrink(input); });
  });
})();
