"""What tasks share whose generator learns to deceive a discriminator."""

from typing import Any

from torch import Tensor
from torch.optim import Adam
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from models.card import Card, Recipe
from training import optimizers
from training.data.dataset import Dataset
from training.task import Task

BETAS = (0.5, 0.999)  # as the papers of DCGAN and CycleGAN have them
DECAY = 0.995  # of the average, a step


class Adversarial(Task):
    """`learner` takes turns with discriminators, a batch each (Goodfellow et al., arXiv:1406.2661). What is served, and
    validated, is the moving average of its weights, which wanders less than they do: `network` gets it at the end.
    """

    def __init__(self, card: Card, recipe: Recipe, data: Dataset) -> None:
        super().__init__(card, recipe, data)
        self.automatic_optimization = False
        self.learner: Any = card.network(**self.arguments).to(memory_format=self.MEMORY_FORMAT)
        self.learner.load_state_dict(self.network.state_dict())
        smoothed = get_ema_multi_avg_fn(DECAY)  # type: ignore[no-untyped-call]
        self.average = AveragedModel(self.learner, multi_avg_fn=smoothed, use_buffers=True)

    def rivals(self, discriminators: Any, pace: float = 1.0) -> Any:
        """What `configure_optimizers` returns: the optimiser of the learner, and that of the discriminators, who learn
        at `pace` times the recipe's rate."""
        sides = ((self.learner, self.recipe.lr), (discriminators, self.recipe.lr * pace))
        made = [Adam(network.parameters(), rate, BETAS) for network, rate in sides]
        steps = int(self.trainer.estimated_stepping_batches)
        return made, [optimizers.schedule(optimizer, self.recipe, steps) for optimizer in made]

    def step(self, optimizer: Any, loss: Tensor) -> None:
        """One step of one side."""
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()

    def end_turn(self) -> None:
        """What follows after both have made their step."""
        self.average.update_parameters(self.learner)
        schedules: Any = self.lr_schedulers()
        for schedule in schedules:
            schedule.step()

    def on_train_end(self) -> None:
        self.network.load_state_dict(self.average.module.state_dict())
