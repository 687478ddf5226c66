// The board of claims can be sifted by chapter and by verdict. Without a script all of it is shown.
for (const board of document.querySelectorAll(".claims-board")) {
  const claims = [...board.querySelectorAll("li")];
  const parts = [...board.querySelectorAll("[data-chapter]")];
  const chosen = { chapter: "", verdict: "" };
  const sieve = document.createElement("div");
  const told = document.createElement("p");
  told.setAttribute("role", "status");

  const sift = () => {
    for (const part of parts) {
      const away = chosen.chapter && part.dataset.chapter !== chosen.chapter;
      for (const claim of part.querySelectorAll("li"))
        claim.hidden = away || (chosen.verdict && claim.className !== chosen.verdict);
      part.hidden = !part.querySelector("li:not([hidden])");
    }
    const left = claims.filter((claim) => !claim.hidden).length;
    told.textContent = left === claims.length ? "" : `${left} of ${claims.length} claims are shown.`;
  };

  const group = (by, choices) => {
    const box = document.createElement("div");
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", `Claims by ${by}`);
    for (const [value, words] of choices) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = words;
      button.setAttribute("aria-pressed", String(value === ""));
      button.addEventListener("click", () => {
        chosen[by] = value;
        for (const other of box.children)
          other.setAttribute("aria-pressed", String(other === button));
        sift();
      });
      box.append(button);
    }
    sieve.append(box);
  };

  const kinds = [...board.querySelectorAll(".key span")]
    .filter((kind) => claims.some((claim) => claim.className === kind.className));
  const chapters = parts.map((part) => part.dataset.chapter);
  group("chapter", [["", "all chapters"], ...chapters.map((number) => [number, `chapter ${number}`])]);
  group("verdict", [["", "all verdicts"],
    ...kinds.map((kind) => [kind.className, kind.lastChild.textContent.trim()])]);
  sieve.className = "sieve";
  board.querySelector(".key").after(sieve, told);
}
