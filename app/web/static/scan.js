// Scanning a code: WeChat's own scanner where the page stands inside WeChat, else the camera, else a photo.
// A scanner stays hidden unless one of the three works; typing always does.
"use strict";

(function () {
  var LOOK_EVERY_MS = 150, GIVE_UP_MS = 90000, LIVE_SIDE = 800;
  // A large photo is read small first: a code that fills it is found faster, and noise is smoothed away.
  var PHOTO_SIDES = [800, 1600, 500];
  // WeChat puts the kind in front of a barcode: «CODE_128,332026…».
  var BARCODE_KIND = /^(?:EAN|UPC|CODE|ITF|CODABAR)[A-Z0-9_]*,/;
  var library = null, wechat = null;

  function load(address) {
    return new Promise(function (done, failed) {
      var script = document.createElement("script");
      script.src = address;
      script.onload = done;
      script.onerror = function () { failed(new Error("not loaded: " + address)); };
      document.head.appendChild(script);
    });
  }

  function reader(box) {
    if (!library) {
      library = (window.jsQR ? Promise.resolve() : load(box.getAttribute("data-library")))
        .catch(function (error) { library = null; throw error; });
    }
    return library;
  }

  // --- reading a picture

  function drawn(source, width, height, longest) {
    var scale = Math.min(1, longest / Math.max(width, height));
    var canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(width * scale));
    canvas.height = Math.max(1, Math.round(height * scale));
    canvas.getContext("2d").drawImage(source, 0, 0, canvas.width, canvas.height);
    return canvas;
  }

  function byLibrary(canvas, both) {
    if (!window.jsQR) return "";
    var image = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    var found = window.jsQR(image.data, image.width, image.height, { inversionAttempts: both ? "attemptBoth" : "dontInvert" });
    return found && found.data ? found.data : "";
  }

  // Some browsers read barcodes too; the library reads QR codes only.
  function byBrowser(canvas) {
    if (!window.BarcodeDetector) return Promise.resolve("");
    try {
      return new window.BarcodeDetector().detect(canvas)
        .then(function (found) { return found.length ? found[0].rawValue : ""; })
        .catch(function () { return ""; });
    } catch (unsupported) { return Promise.resolve(""); }
  }

  function read(canvas, both) {
    return byBrowser(canvas).then(function (text) { return text || byLibrary(canvas, both); });
  }

  function readPhoto(picture) {
    return PHOTO_SIDES.reduce(function (before, side) {
      return before.then(function (text) {
        return text || read(drawn(picture, picture.width, picture.height, side), true);
      });
    }, Promise.resolve(""));
  }

  // --- what a code holds

  function taken(holds, text) {
    var found = null;
    if (holds === "plate") found = /(?:^|[^A-Z0-9])([A-Z])[ ·-]?(\d{6})(?![A-Z0-9])/i.exec(text);
    if (holds === "vehicle") found = /(?:^|\D)(\d{15})(?!\d)/.exec(text);
    if (holds === "text") return text;
    return found ? found.slice(1).join("").toUpperCase() : "";
  }

  function choice(box, select, text) {
    var labels = JSON.parse(box.getAttribute("data-labels") || "{}"), named = labels[text.toUpperCase()] || "";
    for (var at = 0; at < select.options.length; at++) {
      var value = select.options[at].value;
      if (value && (value === named || text.indexOf(value) >= 0)) return value;
    }
    return "";
  }

  function Scanner(box) {
    this.box = box;
    this.live = box.querySelector("[data-scan-live]");
    this.view = box.querySelector("[data-scan-view]");
    this.video = box.querySelector("video");
    this.says = box.querySelector("[data-scan-says]");
    this.photo = box.querySelector("[data-scan-photo]");
    this.stream = null;
  }

  Scanner.prototype.word = function (name, filling) {
    var words = this.box.getAttribute("data-word-" + name) || "";
    this.says.textContent = words.replace("{}", filling || "");
    this.says.hidden = !words;
  };

  Scanner.prototype.take = function (text) {
    this.stop();
    text = text.replace(BARCODE_KIND, "").trim().slice(0, 1000);
    var to = this.box.getAttribute("data-to");
    if (to) {
      this.word("found", "");
      location.assign(to + (to.indexOf("?") < 0 ? "?" : "&") + "text=" + encodeURIComponent(text));
      return;
    }
    var field = document.getElementById(this.box.getAttribute("data-into"));
    var value = field.tagName === "SELECT" ? choice(this.box, field, text) : taken(this.box.getAttribute("data-holds"), text);
    if (!value) { this.word("wrong", text.slice(0, 60)); return; }
    field.value = value;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.dispatchEvent(new Event("change", { bubbles: true }));
    field.focus();
    this.word("found", field.tagName === "SELECT" ? field.options[field.selectedIndex].text : value.slice(0, 60));
  };

  // --- the camera

  Scanner.prototype.open = function () {
    var self = this;
    if (this.stream) return;
    this.word("opening");
    Promise.all([
      navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1280 } }, audio: false }),
      window.BarcodeDetector ? reader(this.box).catch(function () {}) : reader(this.box)
    ]).then(function (both) {
      self.stream = both[0];
      self.video.srcObject = self.stream;
      self.view.hidden = false;
      self.live.hidden = true;
      self.word("aim");
      self.until = Date.now() + GIVE_UP_MS;
      return self.video.play();
    }).then(function () { self.look(); }).catch(function (error) {
      self.stop();
      self.word(error && error.name === "NotAllowedError" ? "refused" : "absent");
    });
  };

  Scanner.prototype.look = function () {
    var self = this;
    if (!this.stream) return;
    if (Date.now() > this.until) { this.stop(); this.word("nothing"); return; }
    if (!this.video.videoWidth) { setTimeout(function () { self.look(); }, LOOK_EVERY_MS); return; }
    read(drawn(this.video, this.video.videoWidth, this.video.videoHeight, LIVE_SIDE), false).then(function (text) {
      if (!self.stream) return;
      if (text) self.take(text);
      else setTimeout(function () { self.look(); }, LOOK_EVERY_MS);
    });
  };

  Scanner.prototype.stop = function () {
    if (this.stream) this.stream.getTracks().forEach(function (track) { track.stop(); });
    this.stream = null;
    this.video.srcObject = null;
    this.view.hidden = true;
    this.live.hidden = !canScan(this.box);
    this.says.hidden = true;
  };

  Scanner.prototype.readChosen = function () {
    var self = this, file = this.photo.files && this.photo.files[0];
    if (!file) return;
    this.stop();
    this.word("reading");
    reader(this.box).catch(function () {}).then(function () { return createImageBitmap(file); }).then(readPhoto)
      .catch(function () { return ""; })
      .then(function (text) {
        self.photo.value = "";
        if (text) self.take(text); else self.word("nothing");
      });
  };

  // --- WeChat

  function insideWeChat(box) {
    return /MicroMessenger/i.test(navigator.userAgent) && box.getAttribute("data-wechat");
  }

  function wechatReady(box) {
    if (wechat) return wechat;
    var page = location.href.split("#")[0];
    wechat = Promise.all([
      fetch(box.getAttribute("data-wechat") + "?url=" + encodeURIComponent(page)).then(function (answer) {
        if (!answer.ok) throw new Error("no signed configuration");
        return answer.json();
      }),
      window.wx ? Promise.resolve() : load(box.getAttribute("data-wechat-script"))
    ]).then(function (both) {
      return new Promise(function (done, failed) {
        var said = both[0];
        window.wx.ready(done);
        window.wx.error(failed);
        window.wx.config({
          debug: false, appId: said.app_id, timestamp: said.timestamp, nonceStr: said.nonce,
          signature: said.signature, jsApiList: ["scanQRCode"]
        });
      });
    });
    wechat.catch(function () { wechat = null; });
    return wechat;
  }

  Scanner.prototype.askWeChat = function () {
    var self = this;
    this.word("opening");
    // A WeChat that does not answer must not hold up somebody at a counter: the camera opens instead.
    var patience = new Promise(function (_, late) { setTimeout(late, 2000); });
    Promise.race([wechatReady(this.box), patience]).then(function () {
      self.says.hidden = true;
      window.wx.scanQRCode({
        needResult: 1, scanType: ["qrCode", "barCode"],
        success: function (said) { self.take(String(said.resultStr || "")); }
      });
    }).catch(function () {
      if (hasCamera()) self.open(); else self.word("absent");
    });
  };

  // --- which of them work here

  function hasCamera() { return Boolean(navigator.mediaDevices && navigator.mediaDevices.getUserMedia); }
  function canRead(box) { return Boolean((box.getAttribute("data-library") || window.BarcodeDetector) && window.createImageBitmap); }
  function canScan(box) { return Boolean(insideWeChat(box) || (hasCamera() && canRead(box))); }

  function begin(box) {
    if (box.hasAttribute("data-scanning") || !(canScan(box) || canRead(box))) return;
    box.setAttribute("data-scanning", "");
    var scanner = new Scanner(box);
    scanner.live.hidden = !canScan(box);
    scanner.live.addEventListener("click", function () {
      if (insideWeChat(box)) scanner.askWeChat(); else scanner.open();
    });
    box.querySelector("[data-scan-stop]").addEventListener("click", function () { scanner.stop(); scanner.live.focus(); });
    box.querySelector("[data-scan-by-photo]").hidden = !canRead(box);
    scanner.photo.addEventListener("change", function () { scanner.readChosen(); });
    document.addEventListener("visibilitychange", function () { if (document.hidden) scanner.stop(); });
    window.addEventListener("pagehide", function () { scanner.stop(); });
    box.hidden = false;
  }

  function beginAll() { Array.prototype.forEach.call(document.querySelectorAll("[data-scan]"), begin); }
  document.addEventListener("mapai:shown", beginAll);
  beginAll();
})();
