// Tables that are wider than the page scroll; a keyboard reaches them as well.
const reach = () => {
  for (const box of document.querySelectorAll(".pst-scrollable-table-container"))
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
};
addEventListener("load", reach);
addEventListener("resize", reach);

// A link to a table that is folded unfolds it, and on paper nothing that a page shows is folded.
const unfold = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target?.closest("details:not([open])")) return;
  for (let fold = target; (fold = fold.closest("details:not([open])")); ) fold.open = true;
  target.scrollIntoView();
};
addEventListener("load", unfold);
addEventListener("hashchange", unfold);
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details.below-input:not([open])")];
  for (const fold of opened) fold.open = true;
});
addEventListener("afterprint", () => {
  for (const fold of opened) fold.open = false;
});
