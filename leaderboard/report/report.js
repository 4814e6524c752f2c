"use strict";
(function () {
  var root = document.documentElement;
  root.classList.add("js");

  // Private windows may refuse storage: the choice then lasts for the page.
  function remembered(name) { try { return localStorage.getItem("lowrank-benchmarks:" + name); } catch (e) { return null; } }
  function remember(name, value) {
    try { localStorage.setItem("lowrank-benchmarks:" + name, value); } catch (e) { /* lasts for the page */ }
  }
  function show(theme) {
    if (theme === "auto") { root.removeAttribute("data-theme"); } else { root.setAttribute("data-theme", theme); }
  }
  var themes = ["auto", "light", "dark"];
  var theme = themes.indexOf(remembered("theme")) > 0 ? remembered("theme") : "auto";
  show(theme);

  function themeSwitch(button) {
    function label() { button.textContent = "Theme: " + theme; }
    button.hidden = false;
    label();
    button.addEventListener("click", function () {
      theme = themes[(themes.indexOf(theme) + 1) % themes.length];
      show(theme);
      remember("theme", theme);
      label();
    });
  }

  // Missing values stay last in both directions.
  function compare(a, b, sign, numeric) {
    if (a === "" || b === "") { return (a === "") - (b === ""); }
    return sign * (numeric ? Number(a) - Number(b) : a.localeCompare(b, undefined, { numeric: true }));
  }

  function sortable(table) {
    var heads = Array.prototype.slice.call(table.tHead.rows[0].cells);
    heads.forEach(function (head, column) {
      head.querySelector("button").addEventListener("click", function () {
        var now = head.getAttribute("aria-sort");
        var first = head.dataset.first || "ascending";
        var direction = now ? (now === "ascending" ? "descending" : "ascending") : first;
        heads.forEach(function (other) { other.removeAttribute("aria-sort"); });
        head.setAttribute("aria-sort", direction);
        var sign = direction === "ascending" ? 1 : -1;
        var numeric = head.classList.contains("num");
        var rows = Array.prototype.slice.call(table.tBodies[0].rows);
        rows.sort(function (a, b) {
          return compare(a.cells[column].dataset.value, b.cells[column].dataset.value, sign, numeric);
        });
        rows.forEach(function (row) { table.tBodies[0].appendChild(row); });
      });
    });
  }

  function filterable(input) {
    input.hidden = false;
    var rows = input.closest("section").querySelectorAll("table.main tbody tr");
    var count = input.closest(".tools").querySelector(".count");
    input.addEventListener("input", function () {
      var words = input.value.toLowerCase().split(/\s+/);
      var left = 0;
      rows.forEach(function (row) {
        var text = row.textContent.toLowerCase();
        row.hidden = !words.every(function (word) { return text.indexOf(word) >= 0; });
        left += row.hidden ? 0 : 1;
      });
      count.textContent = left === rows.length ? "" : left + " of " + rows.length + " rows";
    });
  }

  // Columns are hidden by one rule each: a table of hundreds of rows need not be touched.
  function chooser(table) {
    var name = "columns:" + document.querySelector("h1").textContent;
    var hidden = (remembered(name) || "").split(" ").filter(Boolean);
    var heads = Array.prototype.slice.call(table.tHead.rows[0].cells);
    var style = document.head.appendChild(document.createElement("style"));
    var offered = [];
    var box = document.createElement("details");
    box.className = "chooser";
    box.innerHTML = "<summary>Columns</summary><fieldset><legend>Columns that are shown</legend></fieldset>";
    function apply() {
      style.textContent = heads.map(function (head, index) {
        if (hidden.indexOf(head.dataset.key) < 0) { return ""; }
        return "#" + table.id + " tr > :nth-child(" + (index + 1) + ") { display: none; }";
      }).join("\n");
    }
    heads.forEach(function (head) {
      var key = head.dataset.key;
      // A figure of several groups of hardware has a column for each and one tick for all.
      if (!key || offered.indexOf(key) >= 0) { return; }
      offered.push(key);
      var label = document.createElement("label");
      var tick = document.createElement("input");
      tick.type = "checkbox";
      tick.checked = hidden.indexOf(key) < 0;
      tick.addEventListener("change", function () {
        hidden = hidden.filter(function (other) { return other !== key; });
        if (!tick.checked) { hidden.push(key); }
        remember(name, hidden.join(" "));
        apply();
      });
      label.appendChild(tick);
      label.appendChild(document.createTextNode(" " + head.textContent.trim()));
      box.lastChild.appendChild(label);
    });
    apply();
    table.closest("section").querySelector(".tools").appendChild(box);
  }

  // Tab enters a plot once; the arrow keys walk over its points, and the line below it says which one it is.
  function walkable(plot) {
    var points = Array.prototype.slice.call(plot.querySelectorAll("a.point"));
    if (!points.length) { return; }
    var readout = plot.parentNode.insertBefore(document.createElement("p"), plot.nextSibling);
    readout.className = "readout small";
    readout.setAttribute("aria-hidden", "true");
    function tell(point) { readout.textContent = point.getAttribute("aria-label"); }
    function enterAt(point) {
      points.forEach(function (other) { other.setAttribute("tabindex", other === point ? "0" : "-1"); });
    }
    enterAt(points[0]);
    var steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
    points.forEach(function (point, index) {
      point.addEventListener("mouseenter", function () { tell(point); });
      point.addEventListener("focus", function () { tell(point); enterAt(point); });
      point.addEventListener("keydown", function (event) {
        var to = event.key === "Home" ? 0 : event.key === "End" ? points.length - 1 : index + (steps[event.key] || 0);
        if (to === index || !points[to]) { return; }
        event.preventDefault();
        points[to].focus();
      });
    });
  }

  function downloadable(button, data) {
    button.hidden = false;
    button.addEventListener("click", function () {
      var link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([data[button.dataset.section]], { type: "text/csv" }));
      link.download = "leaderboard.csv";
      link.click();
      URL.revokeObjectURL(link.href);
    });
  }

  // One choice for the whole page, and the next one: sections that know the same hardware follow.
  function hardwareChoice(selects) {
    function choose(key) {
      selects.forEach(function (select) {
        Array.prototype.forEach.call(select.options, function (option) {
          if (option.dataset.key === key) { select.value = option.value; }
        });
        var section = select.closest("section");
        section.className = section.className.replace(/show-m\d/, "show-m" + select.value);
      });
    }
    selects.forEach(function (select) {
      select.addEventListener("change", function () {
        var key = select.options[select.selectedIndex].dataset.key;
        choose(key);
        remember("hardware", key);
      });
    });
    choose(remembered("hardware"));
  }

  function selector(select) {
    function choose() {
      document.querySelectorAll("section.results").forEach(function (section) {
        section.hidden = select.value !== "" && section.id !== select.value;
      });
    }
    function fromAddress() {
      var wanted = location.hash.slice(1);
      var known = Array.prototype.some.call(select.options, function (option) { return option.value === wanted; });
      if (wanted && known) { select.value = wanted; choose(); }
    }
    select.addEventListener("change", choose);
    window.addEventListener("hashchange", fromAddress);
    fromAddress();
  }

  document.addEventListener("DOMContentLoaded", function () {
    themeSwitch(document.getElementById("theme"));
    document.querySelectorAll("table.sortable").forEach(sortable);
    document.querySelectorAll("input.filter").forEach(filterable);
    document.querySelectorAll("table.main").forEach(chooser);
    document.querySelectorAll("svg.plot").forEach(walkable);
    hardwareChoice(Array.prototype.slice.call(document.querySelectorAll("select.hardware")));
    var data = document.getElementById("data");
    if (data) {
      var parsed = JSON.parse(data.textContent);
      document.querySelectorAll("button.download").forEach(function (button) { downloadable(button, parsed); });
    }
    var cells = document.getElementById("cells");
    if (cells) { selector(cells); }
  });
})();
