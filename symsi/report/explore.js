// Shows the tables in #explore-data for the pair, kappa and t that the controls name. Every number comes from there.
(() => {
  const find = (name) => document.getElementById(`explore-${name}`);
  const { times, kappas, tables } = JSON.parse(find("data").textContent);
  const controls = find("controls");

  const show = () => {
    const kappa = kappas[find("kappa").value];
    const k = Number(find("t").value);
    const lazy = find("target").value === "lazy";
    const target = lazy ? `lazy(kappa=${kappa})` : find("target").value;
    const columns = tables[`${find("base").value} > ${target}`];
    for (const curve of document.querySelectorAll("polyline.curve")) {
      const column = columns[curve.dataset.name];
      curve.setAttribute("points", times.map((t, i) => `${t},${column[i]}`).join(" "));
      find(curve.dataset.name).textContent = column[k].toFixed(4);
    }
    for (const end of ["x1", "x2"]) find("marker").setAttribute(end, times[k]);
    find("kappa").disabled = !lazy;
    find("kappa-value").textContent = lazy ? kappa : "–";
    find("t-value").textContent = times[k].toFixed(3);
    find("base-name").textContent = find("base").value;
    find("target-name").textContent = target;
  };

  controls.hidden = false;
  controls.addEventListener("input", show);
  controls.addEventListener("submit", (event) => event.preventDefault());
  show();
})();
