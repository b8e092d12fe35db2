// The outbox of the counter. A form with data-outbox is written down on the device before it is sent, under a key made
// here, so that a lost connection or a double tap never makes two. Without this file forms are sent as ever.
"use strict";

(function () {
  var panel = document.querySelector("[data-outbox-panel]"), store = window.mapaiOutboxStore;
  if (!panel || !store || !window.indexedDB || !window.fetch || !window.Promise || !window.DOMParser) return;

  var ACCOUNT = panel.getAttribute("data-account"), HEADER = "Mapai-Outbox";
  var AGAIN_EVERY_MS = 15000, LONGEST_MS = 60000, JUST_NOW_MS = 1500;
  var COME_AGAIN = { 408: true, 425: true, 429: true, 500: true, 502: true, 503: true, 504: true };
  var memory = {};  // key → the whole content, an ID number or a code included: gone with this page
  var sending = {}, flushing = false, again = false, stopped = "", watched = "";

  function word(name) { return panel.getAttribute("data-word-" + name) || ""; }
  function each(nodes, act) { Array.prototype.forEach.call(nodes, act); }

  function newKey() {
    var bytes = new Uint8Array(18), signs = "";
    window.crypto.getRandomValues(bytes);
    each(bytes, function (byte) { signs += (byte + 256).toString(16).slice(1); });
    return signs;
  }

  // --- one sending

  function withTimeout(options) {
    if (window.AbortController) {
      var controller = new AbortController();
      options.signal = controller.signal;
      setTimeout(function () { controller.abort(); }, LONGEST_MS);
    }
    return options;
  }

  // → {came: "taken", to, said} | {came: "refused", why, page} | {came: "waiting", why}
  function send(row, fields, token, later) {
    var data = new FormData(), headers = {};
    fields.forEach(function (pair) {
      if (typeof pair[1] === "string") data.append(pair[0], pair[1]); else data.append(pair[0], pair[1], pair[1].name || "photo.jpg");
    });
    data.append("csrf_token", token);
    headers[HEADER] = ACCOUNT + (later ? " later" : "");
    return fetch(row.action, withTimeout({ method: "POST", body: data, headers: headers, credentials: "same-origin" }))
      .then(function (answer) {
        var json = /json/.test(answer.headers.get("Content-Type") || "");
        if (json) return answer.json().then(function (said) { return told(answer, said); });
        var passing = COME_AGAIN[answer.status] || answer.headers.get("Retry-After");
        if (answer.ok || (passing && !row.now)) {
          return { came: "waiting", why: word("busy"), alone: answer.status === 500 };
        }
        return answer.text().then(function (html) { return refused(answer, html); });
      })
      .catch(function () { return { came: "waiting", why: word("offline") }; });
  }

  // Only our own words say that it was taken: a hotel's sign-in page answers 200 too.
  function told(answer, said) {
    if (answer.ok && said.to) return { came: "taken", to: said.to, said: said.said || "" };
    if (said.sign_in) return { came: "waiting", why: word("sign-in"), stop: "sign-in" };
    return { came: "waiting", why: word("busy") };
  }

  function refused(answer, html) {
    var page = new DOMParser().parseFromString(html, "text/html"), words = [];
    each(page.querySelectorAll(".errors p"), function (line) { words.push(line.textContent.trim()); });
    if (!words.length) each(page.querySelectorAll("main h1, main h1 + p"), function (line) { words.push(line.textContent.trim()); });
    return { came: "refused", status: answer.status, why: words.join(" ").slice(0, 300), page: page };
  }

  function freshToken() {
    return fetch(panel.getAttribute("data-csrf"), { credentials: "same-origin", redirect: "manual", cache: "no-store" })
      .then(function (answer) { return answer.ok ? answer.json() : answer.type === "opaqueredirect" || answer.status === 401 ? null : Promise.reject(answer); })
      .then(function (said) { return said && String(said.account) === ACCOUNT ? said.token : null; });
  }

  function settle(row, came) {
    delete sending[row.key];
    if (came.came === "waiting") { row.why = came.why; return store.put(row); }
    delete memory[row.key];
    row.state = came.came === "taken" ? "sent" : "refused";
    row.why = came.why || "";
    row.said = came.said || "";
    if (row.state === "sent") { row.fields = []; row.sentAt = Date.now(); }
    return store.put(row);
  }

  function forgotten(row) {
    delete sending[row.key];
    delete memory[row.key];
    return store.remove(row.key);
  }

  // --- a form that is sent now

  function submitted(event) {
    var form = event.target;
    if (!form.hasAttribute || !form.hasAttribute("data-outbox")) return;
    if (event.defaultPrevented && !form.hasAttribute("data-outbox-busy")) return;
    event.preventDefault();
    if (form.hasAttribute("data-outbox-busy")) return;
    form.setAttribute("data-outbox-busy", "");
    var button = event.submitter || form.querySelector("button[type=submit]");
    if (button) button.setAttribute("aria-disabled", "true");
    (window.mapaiPhotos ? window.mapaiPhotos.ready() : Promise.resolve())
      .then(function () { return written(form, button); })
      .then(function (row) { return row ? sendNow(form, row) : form.submit(); })
      .then(function () {
        form.removeAttribute("data-outbox-busy");
        form.removeAttribute("data-sent");
        if (button) button.removeAttribute("aria-disabled");
        return show();
      });
  }

  function written(form, button) {
    var key = form.getAttribute("data-outbox-key") || newKey();
    form.setAttribute("data-outbox-key", key);
    form.elements.submission.value = key;
    var content = store.contentOf(form), plate = form.elements.plate_no;
    memory[key] = content.all;
    var row = {
      key: key, account: ACCOUNT, at: Date.now(), action: form.getAttribute("action"),
      page: form.getAttribute("data-outbox-page") || location.pathname,
      what: button ? button.textContent.trim() : "", of: form.getAttribute("data-outbox") || (plate ? plate.value.toUpperCase() : ""),
      fields: content.kept, lacks: content.lacks, now: form.hasAttribute("data-outbox-now"), state: "waiting", why: "", said: ""
    };
    // Private browsing, a full device: the form goes as it always did.
    return row.now ? Promise.resolve(row) : store.put(row).catch(function () { return null; });
  }

  function sendNow(form, row) {
    sending[row.key] = true;
    setTimeout(show, JUST_NOW_MS + 100);
    return send(row, memory[row.key], form.elements.csrf_token.value, false).then(function (came) {
      if (came.came !== "refused" || came.status !== 400) return came;
      return freshToken().then(function (token) { return token ? send(row, memory[row.key], token, false) : came; })
        .catch(function () { return { came: "waiting", why: word("offline") }; });
    }).then(function (came) {
      if (row.now && came.stop) return form.submit();  // leads to the sign-in
      if (came.came === "taken") return (row.now ? Promise.resolve() : settle(row, came)).then(function () { location.assign(came.to); return new Promise(function () {}); });
      if (came.came === "refused" && putRight(came.page)) return forgotten(row);
      if (row.now) {  // of no use later: it does not wait, and is pressed again under the same key
        delete sending[row.key];
        return note(form, "missed", (came.came === "refused" && came.why) || word("missed"));
      }
      return settle(row, came).then(function () {
        if (came.came === "waiting") {
          watched = row.key;
          stopped = came.stop || "";
          note(form, "kept", came.why, row.lacks);
        }
        else return show().then(function () { panel.scrollIntoView(); });
      });
    });
  }

  // A refused form comes back with what was typed and what is wrong, in the place of the page; or that page has no such
  // form any more, because another tab or device went on meanwhile: it says so at its top.
  function putRight(page) {
    var fresh = page.querySelector("main"), old = document.querySelector("main");
    var own = fresh && (fresh.querySelector("form[data-outbox]") || (fresh.querySelector(".errors") && fresh.querySelector("[data-outbox-panel]")));
    if (!own || !old) return false;
    old.parentNode.replaceChild(document.importNode(fresh, true), old);
    panel = document.querySelector("[data-outbox-panel]") || panel;
    if (window.htmx) window.htmx.process(document.querySelector("main"));
    document.title = page.title;
    document.dispatchEvent(new CustomEvent("mapai:shown"));
    var first = document.querySelector("main [data-focus]");
    if (first) { first.focus(); window.scrollTo(0, 0); }
    return true;
  }

  // Says within the form that it is kept, or that it did not go and has to be pressed again.
  function note(form, which, why, lacks) {
    var old = form.querySelector("[data-outbox-note]"), words = panel.querySelector("template[data-note=" + which + "]");
    if (old) old.parentNode.removeChild(old);
    if (!words || !words.content) return;
    var said = words.content.firstElementChild.cloneNode(true);
    said.querySelector("[data-why]").textContent = why;
    each(said.querySelectorAll("[data-way-in]"), function (line) { line.hidden = !stopped; });
    each(said.querySelectorAll("[data-lacks]"), function (line) { line.hidden = line.getAttribute("data-lacks") !== lacks; });
    // Behind the hidden fields, which take no room.
    form.insertBefore(said, form.querySelector(":scope > :not(input[type=hidden])") || form.firstChild);
  }

  // --- what waits is sent again, in its order; what follows a refused step of the same trade-in or transfer waits with it

  // An opening belongs to nothing yet: what is wrong with one owner's is no concern of the next owner's.
  function groupOf(row) { return (/\/trade-ins\/[^/]+|^\/transfers\/[^/]+/.exec(row.action) || [row.key])[0]; }

  function flush() {
    if (flushing || navigator.onLine === false) return show();
    flushing = true;
    var work = window.navigator.locks
      ? navigator.locks.request("mapai-outbox", { ifAvailable: true }, function (lock) { return lock ? flushAll() : null; })
      : flushAll();
    return Promise.resolve(work).catch(function () {}).then(function () {
      flushing = false;
      if (!again) return show();
      again = false;
      return flush();
    });
  }

  // A sending that is under way may have met the line while it was still down.
  function backOnLine() { again = flushing; return flush(); }

  function flushAll() {
    return store.list(ACCOUNT).then(function (rows) {
      // Another tab says of a row that it lacks its number while this one still remembers it.
      var due = rows.filter(function (row) {
        return !sending[row.key] && (row.state === "waiting" || (row.state === "lacks" && memory[row.key]));
      });
      var held = {};
      rows.forEach(function (row) {
        if (due.indexOf(row) >= 0) row.state = "waiting";
        else if (row.state === "refused" || row.state === "lacks") held[groupOf(row)] = row.at;
      });
      if (!due.length) { stopped = ""; return null; }
      return freshToken().then(function (token) {
        stopped = token ? "" : "sign-in";
        return token && inTurn(due, token, held);
      });
    });
  }

  function inTurn(due, token, held) {
    var row = due.shift();
    if (!row) return null;
    if (held[groupOf(row)] < row.at) return inTurn(due, token, held);
    if (row.lacks && !memory[row.key]) {
      row.state = "lacks";
      row.why = "";
      held[groupOf(row)] = row.at;
      return store.put(row).then(function () { return inTurn(due, token, held); });
    }
    sending[row.key] = true;
    return show().then(function () { return send(row, memory[row.key] || row.fields, token, row.key !== watched); }).then(function (came) {
      // Whoever still looks at the form gets it back at once; else it waits in the list to be put right.
      var back = came.came === "refused" && row.key === watched && putRight(came.page);
      return (back ? forgotten(row) : settle(row, came)).then(function () {
        // One that the server stumbles over keeps its own trade-in waiting, not the others.
        if (came.came === "refused" || came.alone) held[groupOf(row)] = row.at;
        if (came.came === "taken" && row.key === watched) location.assign(came.to);
        if (came.stop) stopped = came.stop;
        return came.came === "waiting" && !came.alone ? null : inTurn(due, token, held);
      });
    });
  }

  // --- a form that was refused, or lacks its ID number or code, is filled in again

  function refill() {
    return store.list(ACCOUNT).then(function (rows) {
      // The page says that it is done, so nothing is lacking: the answer to the sending was lost with its page.
      each(document.querySelectorAll("[data-outbox-done]"), function (place) {
        rows = rows.filter(function (row) {
          var over = row.state !== "sent" && row.action === place.getAttribute("data-outbox-done");
          if (over) store.remove(row.key);
          return !over;
        });
      });
      each(document.querySelectorAll("form[data-outbox]"), function (form) {
        if (form.querySelector(".errors, .bad")) return;
        var own = rows.filter(function (row) {
          return row.action === form.getAttribute("action") && (row.state === "lacks" || (row.state === "refused" && row.fields.length > 1));
        }).pop();
        if (own) fill(form, own);
      });
    });
  }

  function fill(form, row) {
    row.fields.forEach(function (pair) {
      var input = form.elements[pair[0]];
      if (!input || pair[0] === "submission" || !input.type) return;
      if (typeof pair[1] === "string" && /^(checkbox|radio)$/.test(input.type)) input.checked = input.value === pair[1];
      else if (typeof pair[1] === "string" && input.type !== "file") input.value = pair[1];
      else if (input.type === "file" && window.DataTransfer) {
        var hold = new DataTransfer();
        hold.items.add(pair[1]);
        input.files = hold.files;
      }
    });
    // The same sending where it never arrived; a new one, in the place of the old, where it was refused.
    form.setAttribute("data-outbox-key", row.key);
    if (row.state === "refused") {
      form.setAttribute("data-outbox-key", newKey());
      form.addEventListener("submit", function () { store.remove(row.key); });
    }
  }

  // --- what is shown

  function shown(row) {
    var state = sending[row.key] ? "sending" : row.state;
    var words = panel.querySelector("template[data-row=" + (state === "lacks" && row.lacks === "code" ? "lacks-code" : state) + "]");
    var line = words.content.firstElementChild.cloneNode(true);
    line.querySelector("[data-what]").textContent = row.what;
    var of = line.querySelector("[data-of]");
    of.textContent = row.of;
    of.hidden = !row.of;
    var why = line.querySelector("[data-why]");
    if (why) { why.textContent = state === "sent" ? row.said : row.why; why.hidden = !why.textContent; }
    var way = line.querySelector("[data-way]");
    if (way) way.setAttribute("href", row.page);
    var drop = line.querySelector("[data-drop]");
    if (drop) drop.addEventListener("click", function () { delete memory[row.key]; store.remove(row.key).then(show); });
    return line;
  }

  function show() {
    return store.list(ACCOUNT).then(function (rows) {
      var now = Date.now(), list = panel.querySelector("[data-list]");
      // What goes through at once needs no line: it would only flicker.
      var open = rows.filter(function (row) { return row.state !== "sent" && !(sending[row.key] && now - row.at < JUST_NOW_MS); });
      var sent = rows.filter(function (row) { return row.state === "sent"; });
      list.textContent = "";
      open.concat(sent.filter(function (row) { return row.said; }).slice(-3)).forEach(function (row) { list.appendChild(shown(row)); });
      panel.querySelector("[data-sent]").textContent = String(sent.length);
      panel.querySelector("[data-done]").hidden = !sent.length;
      panel.querySelector("[data-stopped]").hidden = !stopped || !open.length;
      panel.querySelector("[data-offline]").hidden = navigator.onLine !== false;
      panel.hidden = !rows.length && navigator.onLine !== false;
      each(document.querySelectorAll("[data-outbox-count]"), function (place) {
        place.hidden = !open.length;
        place.querySelector("b").textContent = String(open.length);
      });
      each(document.querySelectorAll("[data-outbox-offline]"), function (place) { place.hidden = navigator.onLine !== false; });
      each(document.querySelectorAll("[data-outbox-bar]"), function (bar) { bar.hidden = !open.length && navigator.onLine !== false; });
      return open.length;
    }).catch(function () { return 0; });
  }

  // --- leaving takes everything along

  function leaving(event) {
    var form = event.target;
    if (!form.action || !/\/sign-out$/.test(form.getAttribute("action") || "") || event.defaultPrevented) return;
    event.preventDefault();
    store.list(ACCOUNT).then(function (rows) {
      var open = rows.filter(function (row) { return row.state !== "sent"; }).length;
      if (open && !window.confirm(word("leave").replace("{}", String(open)))) { form.removeAttribute("data-sent"); return null; }
      return store.clear(ACCOUNT).then(function () { form.submit(); });
    }).catch(function () { form.submit(); });
  }

  document.addEventListener("submit", submitted);
  document.addEventListener("submit", leaving);
  document.addEventListener("mapai:shown", show);
  window.addEventListener("online", backOnLine);
  window.addEventListener("offline", show);
  document.addEventListener("visibilitychange", function () { if (!document.hidden) flush(); });
  window.addEventListener("pageshow", function (event) { if (event.persisted) flush(); });
  setInterval(function () { if (!document.hidden) flush(); }, AGAIN_EVERY_MS);
  refill().catch(function () {}).then(flush);
})();
