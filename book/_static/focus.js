// Tables that are wider than the page scroll; a keyboard reaches them as well.
const reach = () => {
  for (const box of document.querySelectorAll(".pst-scrollable-table-container"))
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
};
addEventListener("load", reach);
addEventListener("resize", reach);
