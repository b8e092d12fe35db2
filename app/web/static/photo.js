// Photos on their way up: made smaller on the device, and a blurred one pointed out. Nothing is ever held back.
"use strict";

(function () {
  // Phones take photos of 3 to 8 MB; 1600 pixels a side are enough to read a frame number.
  var LONGEST_SIDE = 1600, LIGHT_BYTES = 600 * 1024, QUALITY = 0.85;
  // Sharpness is judged at this size, so that it does not depend on how many pixels the camera has.
  var JUDGED_SIDE = 480, BLURRED_BELOW = 45;
  var working = [];

  function canvasOf(picture, longest) {
    var scale = Math.min(1, longest / Math.max(picture.width, picture.height));
    var canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(picture.width * scale));
    canvas.height = Math.max(1, Math.round(picture.height * scale));
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    return canvas;
  }

  // The variance of the Laplacian over the grey values: edges make it large, blur takes them away.
  // The sharpest ninth of the picture counts: a clear number plate before a plain wall is a clear photo.
  function sharpness(picture) {
    var canvas = canvasOf(picture, JUDGED_SIDE), width = canvas.width, height = canvas.height;
    if (width < 9 || height < 9) return Infinity;
    var pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
    var grey = new Float32Array(width * height), best = 0;
    for (var at = 0; at < grey.length; at++) {
      grey[at] = 0.299 * pixels[4 * at] + 0.587 * pixels[4 * at + 1] + 0.114 * pixels[4 * at + 2];
    }
    for (var part = 0; part < 9; part++) {
      var left = Math.floor(width * (part % 3) / 3), top = Math.floor(height * Math.floor(part / 3) / 3);
      best = Math.max(best, varianceIn(grey, width, left, top, Math.floor(width / 3), Math.floor(height / 3), height));
    }
    return best;
  }

  function varianceIn(grey, width, left, top, wide, high, height) {
    var sum = 0, squares = 0, count = 0;
    for (var y = Math.max(1, top); y < Math.min(height - 1, top + high); y++) {
      for (var x = Math.max(1, left); x < Math.min(width - 1, left + wide); x++) {
        var at = y * width + x;
        var edge = 4 * grey[at] - grey[at - 1] - grey[at + 1] - grey[at - width] - grey[at + width];
        sum += edge; squares += edge * edge; count++;
      }
    }
    return count ? squares / count - (sum / count) * (sum / count) : 0;
  }

  function lighter(file, picture) {
    return new Promise(function (done) {
      if (file.size < LIGHT_BYTES) { done(null); return; }
      canvasOf(picture, LONGEST_SIDE).toBlob(function (blob) {
        done(blob && blob.size < file.size ? new File([blob], "photo.jpg", { type: "image/jpeg" }) : null);
      }, "image/jpeg", QUALITY);
    });
  }

  function warning(input) {
    var next = input.closest(".field");
    return next && next.querySelector("[data-blurred]");
  }

  function clear(input) {
    var shown = warning(input);
    if (shown) shown.parentNode.removeChild(shown);
  }

  function warn(input) {
    var words = document.querySelector("template[data-blurred-words]");
    var field = input.closest(".field");
    if (!words || !field || !words.content) return;
    clear(input);
    var shown = words.content.firstElementChild.cloneNode(true);
    shown.querySelector("[data-again]").addEventListener("click", function () {
      input.value = "";
      clear(input);
      input.click();
    });
    shown.querySelector("[data-keep]").addEventListener("click", function () { clear(input); input.focus(); });
    field.appendChild(shown);
  }

  // → the file, made lighter where that helps; `blurred` is called where it is.
  function looked(file, blurred) {
    return createImageBitmap(file).then(function (picture) {
      if (sharpness(picture) < BLURRED_BELOW) blurred();
      return lighter(file, picture);
    }).then(function (small) { return small || file; }).catch(function () { return file; /* it goes up as it is */ });
  }

  function look(input) {
    var files = Array.prototype.slice.call(input.files || []);
    clear(input);
    if (!files.length || !window.createImageBitmap || !window.DataTransfer) return;
    input.setAttribute("data-looking", "");
    var work = Promise.all(files.map(function (file) {
      return looked(file, function () { warn(input); });
    })).then(function (made) {
      var hold = new DataTransfer(), same = made.every(function (file, at) { return file === files[at]; });
      // Chosen anew meanwhile, or nothing to gain: the choice stays as it is.
      if (same || input.files[0] !== files[0]) return;
      made.forEach(function (file) { hold.items.add(file); });
      input.files = hold.files;
    }).catch(function () {}).then(function () { input.removeAttribute("data-looking"); });
    working.push(work);
  }

  document.addEventListener("change", function (event) {
    var input = event.target;
    if (input.matches && input.matches("input[type=file][data-shrink]")) look(input);
  });

  // What sends forms by itself waits until the pictures are small.
  window.mapaiPhotos = { ready: function () { return Promise.all(working); } };
})();
