"""Base class of tasks whose generator is trained against a discriminator."""

from typing import Any

from torch import Tensor
from torch.optim import Adam
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from marina.training import optimizers
from marina.training.data.dataset import Dataset
from marina.training.task import Task
from models.card import Card, Recipe

BETAS = (0.5, 0.999)  # as the papers of DCGAN and CycleGAN have them
DECAY = 0.995  # of the average, a step


class Adversarial(Task):
    """`learner` and the discriminators take turns, a batch each (Goodfellow et al., arXiv:1406.2661).

    The moving average of the learner's weights is validated and served, because it varies less than they do: `network`
    receives it at the end.
    """

    def __init__(self, card: Card, recipe: Recipe, data: Dataset) -> None:
        super().__init__(card, recipe, data)
        self.automatic_optimization = False
        if recipe.schedule == "plateau":
            raise ValueError("schedule plateau needs a validation loss that falls, and adversarial training has none")
        self.learner: Any = card.network(**self.arguments).to(memory_format=self.MEMORY_FORMAT)
        self.learner.load_state_dict(self.network.state_dict())
        smoothed = get_ema_multi_avg_fn(DECAY)  # type: ignore[no-untyped-call]
        self.average = AveragedModel(self.learner, multi_avg_fn=smoothed, use_buffers=True)

    def adversarial_optimizers(self, discriminators: Any, discriminator_lr_scale: float = 1.0) -> Any:
        """Return the value for `configure_optimizers`: the optimizer of the learner, and that of the discriminators,
        whose learning rate is `discriminator_lr_scale` times the recipe's.
        """
        sides = ((self.learner, self.recipe.lr), (discriminators, self.recipe.lr * discriminator_lr_scale))
        made = [Adam(network.parameters(), rate, BETAS) for network, rate in sides]
        steps = int(self.trainer.estimated_stepping_batches)
        return made, [optimizers.schedule(optimizer, self.recipe, steps) for optimizer in made]

    def step(self, optimizer: Any, loss: Tensor) -> None:
        """Take one step of the learner or of the discriminators."""
        optimizer.zero_grad()
        self.manual_backward(loss)
        if self.recipe.clip_norm is not None:
            self.clip_gradients(optimizer, self.recipe.clip_norm, "norm")
        optimizer.step()

    def finish_step(self) -> None:
        """Update the average and the schedules, after both sides have taken their step."""
        self.average.update_parameters(self.learner)
        schedules: Any = self.lr_schedulers()
        for schedule in schedules:
            schedule.step()

    def on_train_end(self) -> None:
        self.network.load_state_dict(self.average.module.state_dict())
