"use strict";
(function () {
  var root = document.documentElement;
  root.classList.add("js");

  // Private windows may refuse storage: the choice then lasts for the page.
  function remembered() { try { return localStorage.getItem("theme"); } catch (e) { return null; } }
  function remember(theme) { try { localStorage.setItem("theme", theme); } catch (e) { /* lasts for the page */ } }
  function show(theme) {
    if (theme === "auto") { root.removeAttribute("data-theme"); } else { root.setAttribute("data-theme", theme); }
  }
  var themes = ["auto", "light", "dark"];
  var theme = themes.indexOf(remembered()) > 0 ? remembered() : "auto";
  show(theme);

  function themeSwitch(button) {
    function label() { button.textContent = "Theme: " + theme; }
    button.hidden = false;
    label();
    button.addEventListener("click", function () {
      theme = themes[(themes.indexOf(theme) + 1) % themes.length];
      show(theme);
      remember(theme);
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
    var rows = input.closest("section").querySelectorAll("table.sortable tbody tr");
    input.addEventListener("input", function () {
      var words = input.value.toLowerCase().split(/\s+/);
      rows.forEach(function (row) {
        var text = row.textContent.toLowerCase();
        row.hidden = !words.every(function (word) { return text.indexOf(word) >= 0; });
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
    var data = document.getElementById("data");
    if (data) {
      var parsed = JSON.parse(data.textContent);
      document.querySelectorAll("button.download").forEach(function (button) { downloadable(button, parsed); });
    }
    var cells = document.getElementById("cells");
    if (cells) { selector(cells); }
  });
})();
